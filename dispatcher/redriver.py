"""The redriver: works off the redrives that operators asked for, step by step.

Where a redrive stands is in the ledger alone, so a dispatcher that dies half way loses nothing and
repeats nothing: the next one, or another beside it, goes on.
"""

import logging

from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.relay import relay

EVERY = 0.25
"""Seconds between steps of a redrive that keeps to a rate."""
FILLED = 500
"""Fingerprints that older writers left out, filled in by one step."""

_log = logging.getLogger(__name__)


class Redriver:
    """Steps redrives while there are any; while the bus is away, they wait for it."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock, every: float = EVERY) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        self.loop = Supervised("redriver", self.step, every)

    async def step(self) -> bool:
        """One bounded step; whether more can be done at once. Raises BusUnavailable, LedgerBusy.

        What was promised and could not be published is due in the outbox.
        """
        # Looked at before anything is written: most of the time there is nothing to do.
        redriving, ungrouped = await self._ledger.redrive_work()
        if redriving:
            stepped = await self._ledger.step_redrives(self._clock.now())
            for job in stepped.ended:
                _log.info("redrive %s is done", job)
            await relay(stepped.outbox, self._bus, self._ledger, self._clock)
            return stepped.more
        if ungrouped:
            return await self._ledger.fill_fingerprints(FILLED) == FILLED
        return False
