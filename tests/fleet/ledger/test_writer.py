"""The group-commit writer, on a table of numbers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from fleet.ledger.database import open_engine
from fleet.ledger.errors import IllegalRecord, LedgerClosed, LedgerError
from fleet.ledger.writer import BATCH, Writer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "numbers.db"


@pytest.fixture
async def writer(file: Path) -> AsyncIterator[Writer]:
    engine = open_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE number (n INTEGER PRIMARY KEY)")
    opened = Writer(engine)
    yield opened
    await opened.aclose()


batches: list[int] = []


def add(connection: Connection, numbers: Sequence[int]) -> Sequence[int | LedgerError]:
    """Insert numbers; a number twice is the database's error, 13 is refused."""
    batches.append(len(numbers))
    taken = [number for number in numbers if number != 13]
    if taken:
        connection.execute(text("INSERT INTO number VALUES (:n)"), [{"n": n} for n in taken])
    return [IllegalRecord("13 is refused") if number == 13 else number for number in numbers]


def numbers_in(file: Path) -> set[int]:
    with sqlite3.connect(file) as connection:
        found = {number for (number,) in connection.execute("SELECT n FROM number")}
    connection.close()
    return found


async def test_an_answer_means_committed(writer: Writer, file: Path) -> None:
    """Another connection sees what was answered."""
    assert await writer.submit(add, 1) == 1
    assert numbers_in(file) == {1}


async def test_operations_share_transactions(writer: Writer, file: Path) -> None:
    """A thousand at once cost a handful of commits, and each gets its own answer."""
    batches.clear()

    answers = await asyncio.gather(*[writer.submit(add, 100 + n) for n in range(1000)])

    assert answers == [100 + n for n in range(1000)]
    assert len(batches) < 50
    assert max(batches) <= BATCH


async def test_one_operation_that_cannot_be_written_fails_alone(writer: Writer, file: Path) -> None:
    """Its neighbours in the transaction are written all the same."""
    await writer.submit(add, 5)

    answers = await asyncio.gather(
        *[writer.submit(add, n) for n in (4, 5, 6)], return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [int, IntegrityError, int]
    assert numbers_in(file) == {4, 5, 6}


async def test_a_refusal_reaches_its_caller_only(writer: Writer, file: Path) -> None:
    """The others' answers stand."""
    answers = await asyncio.gather(
        *[writer.submit(add, n) for n in (12, 13, 14)], return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [int, IllegalRecord, int]
    assert numbers_in(file) == {12, 14}


async def test_a_locked_database_is_waited_for(writer: Writer, file: Path) -> None:
    """What another process's transaction holds up is written after it."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    submitted = asyncio.ensure_future(writer.submit(add, 1))
    done, _ = await asyncio.wait([submitted], timeout=0.05)

    other.execute("COMMIT")
    other.close()

    assert not done
    assert await submitted == 1


async def test_closing_writes_what_was_submitted(writer: Writer, file: Path) -> None:
    """And what comes later is refused; closing twice is harmless."""
    submitted = [asyncio.ensure_future(writer.submit(add, n)) for n in range(20, 40)]
    await asyncio.sleep(0)

    await writer.aclose()
    await writer.aclose()

    assert await asyncio.gather(*submitted) == list(range(20, 40))
    assert numbers_in(file) == set(range(20, 40))
    with pytest.raises(LedgerClosed):
        await writer.submit(add, 99)


async def test_a_caller_that_stops_waiting_cancels_nothing(writer: Writer, file: Path) -> None:
    """What was submitted is written."""
    submitted = asyncio.ensure_future(writer.submit(add, 7))
    await asyncio.sleep(0)

    submitted.cancel()
    await writer.submit(add, 8)

    assert numbers_in(file) == {7, 8}
