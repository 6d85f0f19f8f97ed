"""The redriver: works off the redrives that operators asked for, step by step.

What was parked it takes up again, when a worker that knows its kind is there. Where a redrive
stands is in the ledger alone, so a dispatcher that dies half way loses nothing and repeats nothing:
the next one, or another beside it, goes on.
"""

import logging
from datetime import datetime, timedelta

from dispatcher.resend import Resender
from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.relay import relay

EVERY = 0.25
"""Seconds between steps of a redrive that keeps to a rate."""
LOOK_EVERY = timedelta(seconds=3)
"""Between looks for what was parked or left without a fingerprint: they read all that is open."""
FILLED = 500
"""Fingerprints that older writers left out, filled in by one step."""

_log = logging.getLogger(__name__)


class Redriver:
    """Steps redrives while there are any; while the bus is away, they wait for it."""

    def __init__(
        self, ledger: Ledger, bus: Bus, clock: Clock, resender: Resender, every: float = EVERY
    ) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        self._resender = resender
        self._looked: datetime | None = None
        self.loop = Supervised("redriver", self.step, every)

    async def step(self) -> bool:
        """One bounded step; whether more can be done at once. Raises BusUnavailable, LedgerBusy.

        What was promised and could not be published is due in the outbox.
        """
        # Asked before anything is written: most of the time there is nothing to do.
        more = await self._ledger.any_redrive() and await self._redrive()
        now = self._clock.now()
        if more or (self._looked is not None and self._looked <= now < self._looked + LOOK_EVERY):
            return more
        more = await self._fill() or await self._take_up()
        more = more or await self._resender.take_up_parked()
        # While there is more, the next step looks again.
        self._looked = None if more else now
        return more

    async def _redrive(self) -> bool:
        stepped = await self._ledger.step_redrives(self._clock.now())
        for job in stepped.ended:
            _log.info("redrive %s is done", job)
        await relay(stepped.outbox, self._bus, self._ledger, self._clock)
        return stepped.more

    async def _fill(self) -> bool:
        if not await self._ledger.any_without_fingerprint():
            return False
        return await self._ledger.fill_fingerprints(FILLED) == FILLED

    async def _take_up(self) -> bool:
        if not await self._ledger.any_parked():
            return False
        taken = await self._ledger.take_up(self._clock.now())
        if taken.tasks:
            _log.info("%d parked tasks were taken up", taken.tasks)
        await relay(taken.outbox, self._bus, self._ledger, self._clock)
        return taken.tasks > 0
