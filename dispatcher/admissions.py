"""Held runs, decided again: what there is room for now starts, and what people have let through.

A tenant's oldest run goes first, and where there is no room for it those behind it wait too; only a
run that people have let through goes past them. Any number of dispatchers may look at the same
time: the ledger admits a run once, and reserves its allowance in the same transaction.
"""

import logging

from contracts.allowance import over_of
from contracts.payload import PayloadRegistry
from contracts.states import State
from dispatcher.admit import admit
from dispatcher.relay import Hurry
from dispatcher.supervised import Supervised
from fleet.clock import Clock
from fleet.ledger.errors import OverAllowance
from fleet.ledger.held_runs import Admission, HeldRun
from fleet.ledger.ledger import Ledger
from policies.gate import PolicyGate
from policies.live import LiveGate

EVERY = 1.0
"""Seconds between looks: how long room may stand empty."""
A_TENANT = 50
"""Held runs of one tenant in one look."""

_log = logging.getLogger(__name__)


class Admissions:
    """Looks every so many seconds, and at once when told of a vote."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        gate: PolicyGate | LiveGate,
        registry: PayloadRegistry,
        clock: Clock,
        hurry: Hurry,
    ) -> None:
        self._ledger, self._gate, self._registry = ledger, gate, registry
        self._clock, self._hurry = clock, hurry
        self.loop = Supervised("admissions", self.step, EVERY)

    async def step(self) -> bool:
        """Decide each held run again. No other look is due at once. Raises LedgerBusy."""
        full: set[str] = set()
        for place in await self._ledger.held_runs(A_TENANT):
            if place.tenant in full and not place.let_through:
                continue
            held = await self._ledger.held_run(place)
            if held is None:
                continue
            try:
                state = await self._ledger.admit_held(self._again(held))
            except OverAllowance:
                full.add(place.tenant)
            else:
                if state is not State.HELD:
                    _log.info("held run %s is %s", place.run, state)
                    self._hurry(place.run)
        return False

    def _again(self, held: HeldRun) -> Admission:
        gate = self._gate.now
        # What it was held for is what people have let it through for.
        over = over_of(held.admitted) if held.place.let_through else ()
        return Admission(
            run=held.place.run,
            admitted=admit(
                held.request,
                held.graph,
                self._registry,
                gate,
                over=over,
                approvers=held.approvers,
            ),
            allowance=gate.bundle.limits.allowance(held.place.tenant),
            now=self._clock.now(),
        )
