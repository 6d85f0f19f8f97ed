"""The waker: promises again what was put off, once it may run.

Most of it is promised by the record that frees a slot. This finds what no record tells: a holder
that died, a pause that has ended, a start that has come due. Any number of processes may wake.
"""

import logging

from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.relay import relay

EVERY = 1.0
"""Seconds between looks: one small query while nothing is put off."""

_log = logging.getLogger(__name__)


class Waker:
    """Looks every so many seconds, and again at once while there is more to wake."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock, every: float = EVERY) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        self.loop = Supervised("waker", self.step, every)

    async def step(self) -> bool:
        """Wake a bounded number; whether more can be. Raises BusUnavailable, LedgerBusy."""
        keys = await self._ledger.wakeable(self._clock.now())
        if not keys:
            return False
        woken = await self._ledger.wake(keys, self._clock.now())
        if woken.tasks:
            _log.info("%d tasks that were put off may run", woken.tasks)
        await relay(woken.outbox, self._bus, self._ledger, self._clock)
        return woken.more
