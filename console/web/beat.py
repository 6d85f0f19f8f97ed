"""The ledger's pulse, felt for everybody who watches: one look however many pages are open."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from fleet.ledger.pulse import Moved, Pulse

LOOK = 0.25
"""Seconds between looks: a page shows a change well within the second that is promised."""
_log = logging.getLogger("console")


class Beat:
    """Tells watchers what moved. It looks only while somebody watches."""

    def __init__(self, pulse: Pulse, every: float = LOOK) -> None:
        self._pulse, self._every = pulse, every
        self._watchers: set[asyncio.Queue[Moved]] = set()
        self._watched = asyncio.Event()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator["asyncio.Queue[Moved]"]:
        """What moves while the block lasts. A watcher that is slow is told once of many moves."""
        moves: asyncio.Queue[Moved] = asyncio.Queue(maxsize=16)
        self._watchers.add(moves)
        self._watched.set()
        try:
            yield moves
        finally:
            self._watchers.discard(moves)
            if not self._watchers:
                self._watched.clear()

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                waiting = asyncio.ensure_future(self._watched.wait())
                await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if not stop.is_set():
                    await self._look()
                    await asyncio.wait({stopping}, timeout=self._every)
        finally:
            stopping.cancel()

    async def _look(self) -> None:
        try:
            moved = await asyncio.to_thread(self._pulse.moved)
        except (
            Exception
        ) as cause:  # the ledger may be away for a while; the pages say so themselves
            _log.warning("the ledger's pulse cannot be felt: %s", type(cause).__name__)
            return
        if moved.anything:
            for moves in self._watchers:
                if moves.full():
                    moves.get_nowait()
                    moved = Moved(many=True)
                moves.put_nowait(moved)
