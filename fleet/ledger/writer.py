"""The group-commit writer: the one thread of a process that writes to the ledger.

What is submitted while a transaction runs shares the next one: operations of one kind are applied
together, by set-based statements. A commit answers all of them; nobody is answered before it. When
a transaction fails, its operations are tried one by one, so that one that cannot be written fails
alone. A locked or lost database is waited for.

Transactions are carried out in that thread (`batches`), or in a process of its own (`apart`).
"""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from fleet.ledger.apart import WriterProcess
from fleet.ledger.batches import A, Operation, R, carried_out
from fleet.ledger.errors import LedgerClosed

BATCH = 128
"""The most operations of one transaction. Fewer than a worker has in hand, so that it works on some
while others are written; and within every database's limits."""

PAUSE = 0.0005
"""Seconds between two transactions. Without it another writer on the same file starves: SQLite's
busy handler backs off, and a tight loop always gets the lock first."""


@dataclass(slots=True)
class _Submitted:
    operation: Operation[Any, Any]
    argument: Any
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Owns the engine and the thread, and the process where there is one.

    Closing it writes what was submitted.
    """

    def __init__(self, engine: Engine, apart: WriterProcess | None = None) -> None:
        self.engine = engine
        self._apart = apart
        self._waiting: deque[_Submitted] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._writing_since: float | None = None
        self._thread = threading.Thread(target=self._write, name="ledger-writer", daemon=True)
        self._thread.start()

    async def submit(self, operation: Operation[A, R], argument: A) -> R:
        """Apply `operation` to `argument` in the next transaction; returns once it is committed.

        Raises the LedgerError that the operation answered, LedgerBusy, LedgerClosed, or whatever
        the database raised for this operation alone. A caller that stops waiting cancels nothing:
        what was submitted is written.
        """
        loop = asyncio.get_running_loop()
        submitted = _Submitted(operation, argument, loop.create_future(), loop)
        with self._wake:
            if self._closing:
                raise LedgerClosed("the ledger is closed; this was not written")
            self._waiting.append(submitted)
            self._wake.notify()
        result: R = await submitted.future
        return result

    @property
    def stalled(self) -> float:
        """Seconds that the transaction at hand has taken so far; 0 where there is none."""
        since = self._writing_since
        return 0.0 if since is None else time.monotonic() - since

    def close(self) -> None:
        """Write what was submitted, end the thread, close the connections. Twice is harmless."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if self._apart is not None:
            self._apart.close()
        self.engine.dispose()

    def _write(self) -> None:
        while batch := self._next_batch():
            self._writing_since = time.monotonic()
            answers = self._carried_out(batch)
            self._writing_since = None
            _answer(batch, answers)
            time.sleep(PAUSE)

    def _carried_out(self, batch: list[_Submitted]) -> list[Any]:
        operations = [(each.operation, each.argument) for each in batch]
        if self._apart is not None:
            return self._apart.carried_out(operations)
        return carried_out(self.engine, operations)

    def _next_batch(self) -> list[_Submitted]:
        """What is waiting, at most BATCH; empty once the writer closes."""
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]


def _answer(batch: list[_Submitted], answers: list[Any]) -> None:
    """Hand the answers over, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for submitted, answer in zip(batch, answers, strict=True):
        by_loop.setdefault(submitted.loop, []).append((submitted.future, answer))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # that loop has ended: nobody waits there any more
            continue


def _settle(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        if future.done():  # the caller stopped waiting
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
