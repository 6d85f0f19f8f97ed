"""Retention: runs that ended long ago move from the ledger into archives, a file at a time."""

import logging
from datetime import timedelta

from dispatcher.supervised import Supervised
from fleet.archiving import Archiver
from fleet.clock import Clock

EVERY = 600.0
"""Seconds between looks, once nothing is left to archive."""

_log = logging.getLogger(__name__)


class Retention:
    """Archives what ended more than `keep` ago; never anything where `keep` is zero."""

    def __init__(
        self, archiver: Archiver, clock: Clock, keep: timedelta, every: float = EVERY
    ) -> None:
        self._archiver, self._clock, self._keep = archiver, clock, keep
        self.loop = Supervised("retention", self.step, every)

    async def step(self) -> bool:
        """One file; whether another may follow. Raises LedgerBusy, and OSError of the store."""
        if not self._keep:
            return False
        done = await self._archiver.step(self._clock.now() - self._keep)
        if done is None or done.archive is None:
            return False
        _log.info(
            "archived %d runs, %d rows, as %s", done.runs, done.rows, done.archive.digest[:12]
        )
        return done.runs > 0
