"""The group-commit writer: the one thread of a process that writes to the ledger.

What is submitted while a transaction runs shares the next one: operations of one kind are applied
together, by set-based statements. A commit answers all of them; nobody is answered before it. When
a transaction fails, its operations are tried one by one, so that one that cannot be written fails
alone. A locked or lost database is waited for.

An operation is a function over a connection and a batch of arguments. It answers each argument with
a result, or with a LedgerError for one that is refused; it must have written nothing for those.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from fleet.ledger.errors import LedgerBusy, LedgerClosed, LedgerError
from fleet.ledger.transient import is_transient

A = TypeVar("A")
R = TypeVar("R")
Operation = Callable[[Connection, Sequence[A]], Sequence[R | LedgerError]]

BATCH = 256
"""The most operations of one transaction: keeps statements within every database's limits."""

PAUSE = 0.0005
"""Seconds between two transactions. Without it another writer on the same file starves: SQLite's
busy handler backs off, and a tight loop always gets the lock first."""

PATIENCE = 30.0
"""Seconds for which a locked or lost database is waited for."""


@dataclass(slots=True)
class _Submitted:
    operation: Operation[Any, Any]
    argument: Any
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Writer:
    """Owns the engine, one connection and the thread. Closing it writes what was submitted."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
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
        self.engine.dispose()

    def _write(self) -> None:
        while batch := self._next_batch():
            self._writing_since = time.monotonic()
            answers = self._commit(batch)
            self._writing_since = None
            _answer(batch, answers)
            time.sleep(PAUSE)

    def _next_batch(self) -> list[_Submitted]:
        """What is waiting, at most BATCH; empty once the writer closes."""
        with self._wake:
            while not self._waiting and not self._closing:
                self._wake.wait()
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _commit(self, batch: list[_Submitted]) -> list[Any]:
        """The answer to each of `batch`: a result or an exception."""
        try:
            return self._transaction(batch)
        except Exception as failure:
            if len(batch) == 1 or isinstance(failure, LedgerBusy):
                return [failure] * len(batch)
        return [self._alone(submitted) for submitted in batch]

    def _alone(self, submitted: _Submitted) -> Any:
        try:
            return self._transaction([submitted])[0]
        except Exception as failure:
            return failure

    def _transaction(self, batch: list[_Submitted]) -> list[Any]:
        """Apply and commit, waiting for a locked or lost database. Raises LedgerBusy."""
        patience = time.monotonic() + PATIENCE
        pause = 0.005
        while True:
            try:
                with self.engine.begin() as connection:
                    return _applied(connection, batch)
            except DBAPIError as failure:
                if not is_transient(failure):
                    raise
                if time.monotonic() > patience:
                    raise LedgerBusy(
                        f"the ledger's database could not be written for {PATIENCE:.0f} s"
                    ) from failure
            time.sleep(pause)
            pause = min(pause * 2, 0.5)


def _applied(connection: Connection, batch: list[_Submitted]) -> list[Any]:
    places: dict[Operation[Any, Any], list[int]] = {}
    for place, submitted in enumerate(batch):
        places.setdefault(submitted.operation, []).append(place)
    answers: list[Any] = [None] * len(batch)
    for operation, at in places.items():
        results = operation(connection, [batch[place].argument for place in at])
        for place, result in zip(at, results, strict=True):
            answers[place] = result
    return answers


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
