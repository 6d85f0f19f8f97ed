"""The sweeper: moves what nobody moves any more, by the ledger's rules."""

import logging

from dispatcher.supervised import Supervised
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger

_log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps every so many seconds, and again at once while there is something to move."""

    def __init__(self, ledger: Ledger, clock: Clock, every: float) -> None:
        self._ledger, self._clock = ledger, clock
        self.loop = Supervised("sweeper", self.step, every)

    async def step(self) -> bool:
        """One bounded sweep; whether another may find more. Raises LedgerBusy."""
        swept = await self._ledger.sweep(self._clock.now())
        if swept.moved:
            moved = {name: count for name, count in swept.model_dump().items() if count}
            _log.info("swept: %s", ", ".join(f"{name} {count}" for name, count in moved.items()))
        return swept.moved > 0
