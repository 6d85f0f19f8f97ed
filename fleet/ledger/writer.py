"""The group-commit writer: the one thread of a process that writes to the ledger.

What is submitted while a transaction runs shares the next one: operations of one kind are applied
together, by set-based statements. A commit answers all of them; nobody is answered before it. When
a transaction fails, its operations are tried one by one, so that one that cannot be written fails
alone. A locked or lost database is waited for.

`apart_writer` is its like for a ledger that is written from a process of its own.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy import Engine

from fleet.ledger.batches import A, Operation, R, carried_out
from fleet.ledger.errors import LedgerClosed
from fleet.ledger.submitted import Submitted, hand_out

BATCH = 160
"""The most operations of one transaction. Fewer than a worker has in hand, so that it works on some
while others are written; and within every database's limits."""

PAUSE = 0.0005
"""Seconds between two transactions. Without it another writer on the same file starves: SQLite's
busy handler backs off, and a tight loop always gets the lock first."""


class LedgerWriter(Protocol):
    """What the ledger writes through."""

    engine: Engine

    @property
    def stalled(self) -> float:
        """Seconds that the transaction at hand has taken so far; 0 where there is none."""

    async def submit(self, operation: Operation[A, R], argument: A) -> R:
        """Apply `operation` to `argument` in the next transaction; returns once it is committed.

        Raises the LedgerError that the operation answered, LedgerBusy, LedgerClosed, or whatever
        the database raised for this operation alone. A caller that stops waiting cancels nothing:
        what was submitted is written.
        """

    def post(
        self, operation: Operation[A, Any], argument: A, lost: Callable[[Exception], None]
    ) -> None:
        """As `submit`, without waiting, from any thread; `lost` is told why it was not written."""

    async def aclose(self) -> None:
        """Write what was submitted and let go of everything. Twice is harmless."""


class Writer:
    """Owns the engine and the thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._waiting: deque[Submitted] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._writing_since: float | None = None
        self._thread = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._thread.start()

    async def submit(self, operation: Operation[A, R], argument: A) -> R:
        future = asyncio.get_running_loop().create_future()
        self._put(Submitted(operation, argument, future))
        result: R = await future
        return result

    def post(
        self, operation: Operation[A, Any], argument: A, lost: Callable[[Exception], None]
    ) -> None:
        try:
            self._put(Submitted(operation, argument, None, lost))
        except LedgerClosed as closed:
            lost(closed)

    @property
    def stalled(self) -> float:
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    async def aclose(self) -> None:
        await asyncio.to_thread(self._close)

    def _put(self, submitted: Submitted) -> None:
        with self._wake:
            if self._closing:
                raise LedgerClosed("the ledger is closed; this was not written")
            self._waiting.append(submitted)
            self._wake.notify()

    def _close(self) -> None:
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self.engine.dispose()

    def _write(self) -> None:
        while batch := self._next_batch():
            self._writing_since = time.monotonic()
            answers = carried_out(self.engine, [(each.operation, each.argument) for each in batch])
            self._writing_since = None
            hand_out(batch, answers, here=None)
            time.sleep(PAUSE)

    def _next_batch(self) -> list[Submitted]:
        """What is waiting, at most BATCH; empty once the writer closes."""
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
