"""The real ledger on one in-memory database: only the writer's thread is simulated.

Each operation is a transaction of its own. It may be rolled back and tried again, or be committed
and its answer lost, after which the real writer tries it again too; or the ledger does not answer.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

from fleet.ledger import tables
from fleet.ledger.errors import LedgerBusy
from fleet.ledger.ledger import Ledger
from tests.simulation.life import Gone, Life


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFaults:
    """How often what goes wrong, as chances of each transaction."""

    rolled_back: float = 0.0
    answer_lost: float = 0.0
    busy: float = 0.0


class _RolledBack(Exception):
    """The commit failed."""


def an_engine() -> Engine:
    """A database in memory, tables made; for any number of seeds, one after the other."""
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"isolation_level": None, "check_same_thread": False},
    )
    event.listen(engine, "begin", lambda c: raw(c).execute("BEGIN"))
    tables.metadata.create_all(engine)
    return engine


def raw(connection: Connection) -> sqlite3.Connection:
    """The driver's own: for what is said so often that SQLAlchemy's share of it counts."""
    driver: Any = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def emptied(engine: Engine) -> Engine:
    """Nothing of the seed before."""
    with engine.begin() as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(table.delete())
    return engine


class SimWriter:
    """Stands where fleet.ledger.writer.Writer stands."""

    stalled = 0.0
    """No transaction takes any time."""

    def __init__(
        self,
        engine: Engine,
        life: Life,
        chance: Random,
        faults: LedgerFaults,
        committed: Callable[[Connection], None],
    ) -> None:
        self.engine = engine
        self._life, self._chance, self._faults = life, chance, faults
        self._committed = committed
        self._posted: set[asyncio.Task[None]] = set()

    async def submit(
        self, operation: Callable[[Connection, Sequence[Any]], Sequence[Any]], argument: Any
    ) -> Any:
        await self._life.step()
        if self._chance.random() < self._faults.busy:
            raise LedgerBusy("the database stayed locked")
        answer = self._applied(operation, argument)
        if self._chance.random() < self._faults.answer_lost:
            answer = self._applied(operation, argument)
        await self._life.step()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def post(
        self,
        operation: Callable[[Connection, Sequence[Any]], Sequence[Any]],
        argument: Any,
        lost: Callable[[Exception], None],
    ) -> None:
        """Written some time later, or never: a process that dies takes it along."""

        async def later() -> None:
            with contextlib.suppress(Gone):
                try:
                    await self.submit(operation, argument)
                except LedgerBusy as why:
                    lost(why)

        task = asyncio.create_task(later())
        self._posted.add(task)
        task.add_done_callback(self._posted.discard)

    def _applied(self, operation: Callable[..., Sequence[Any]], argument: Any) -> Any:
        while True:
            try:
                with self.engine.begin() as connection:
                    (answer,) = operation(connection, [argument])
                    if self._chance.random() < self._faults.rolled_back:
                        raise _RolledBack  # noqa: TRY301 - leaves the transaction
                    self._committed(connection)
                return answer
            except _RolledBack:
                continue

    def close(self) -> None:
        """The engine outlives the process."""


def a_ledger(writer: SimWriter) -> Ledger:
    """The real face over the simulated writer."""
    stands_in: Any = writer
    return Ledger(stands_in, writer.engine)
