"""A step done again and again: paced, woken early when there is work, slowed down while it fails.

A failure that the fleet can name is logged and tried again, from one pace apart up to half a
minute; anything else ends the process, for a defect is not mended by trying again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from fleet.errors import FleetError

LONGEST_PAUSE = 30.0
"""Seconds."""

_log = logging.getLogger(__name__)


class Supervised:
    """One loop. `step` says whether it left work behind; `every` is in seconds."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], every: float) -> None:
        self.name, self._step, self._every = name, step, every
        self._wake = asyncio.Event()
        self.failing: str | None = None
        """The last failure's words, until a step succeeds."""

    def wake(self) -> None:
        """Do the next step now. Harmless at any time, also before and after `run`."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Step until `stop` is set; the step at hand is finished first."""
        pause = self._every
        while not stop.is_set():
            self._wake.clear()
            try:
                more = await self._step()
            except (FleetError, SQLAlchemyError, OSError) as cause:
                _log.warning("%s failed, again in %.1f s: %s", self.name, pause, cause)
                self.failing = str(cause)
                # A wake does not shorten this pause: it would undo the slowing down.
                await _either(pause, stop)
                pause = min(pause * 2, max(LONGEST_PAUSE, self._every))
                continue
            if self.failing is not None:
                _log.info("%s works again", self.name)
            self.failing, pause = None, self._every
            if not more:
                await _either(self._every, stop, self._wake)


async def _either(seconds: float, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, at most so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
