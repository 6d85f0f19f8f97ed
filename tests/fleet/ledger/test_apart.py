"""A SQLite ledger written from a process of its own, on a table of numbers."""

import asyncio
import os
import pickle
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from contracts.states import State
from fleet.ledger.apart_writer import ApartWriter
from fleet.ledger.database import open_engine
from fleet.ledger.errors import LedgerBusy, LedgerError, StaleEpoch
from tests.console.waiting import until

PATIENCE = 30.0
OWNER = """
import signal, sys
from fleet.ledger.apart import WriterProcess
print(WriterProcess(sys.argv[1]).pid, flush=True)
signal.pause()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE number (n INTEGER PRIMARY KEY)")
    connection.close()
    return path


@pytest.fixture
async def writer(file: Path) -> AsyncIterator[ApartWriter]:
    url = f"sqlite:///{file}"
    opened = await ApartWriter.open(open_engine(url), url)
    yield opened
    await opened.aclose()


def add(connection: Connection, numbers: Sequence[int]) -> Sequence[int | LedgerError]:
    """Insert numbers; 13 is refused."""
    taken = [number for number in numbers if number != 13]
    if taken:
        connection.execute(text("INSERT INTO number VALUES (:n)"), [{"n": n} for n in taken])
    return [
        StaleEpoch("task-13", 1, 2, State.RUNNING) if number == 13 else number for number in numbers
    ]


def end_the_process(_: Connection, __: Sequence[None]) -> Sequence[None]:
    """What no operation of the ledger does."""
    os._exit(1)


def numbers_in(file: Path) -> set[int]:
    connection = sqlite3.connect(file)
    found = {number for (number,) in connection.execute("SELECT n FROM number")}
    connection.close()
    return found


async def test_an_answer_means_committed(writer: ApartWriter, file: Path) -> None:
    """Another connection sees what was answered."""
    assert await writer.submit(add, 1) == 1
    assert numbers_in(file) == {1}


async def test_errors_arrive_as_they_were_raised(writer: ApartWriter, file: Path) -> None:
    """A refusal with all that it says, a database's error with its type; others' answers stand."""
    await writer.submit(add, 5)

    answers = await asyncio.gather(
        *[writer.submit(add, n) for n in (4, 5, 13)], return_exceptions=True
    )

    four, five, thirteen = answers
    assert four == 4
    assert isinstance(five, IntegrityError)
    assert isinstance(thirteen, StaleEpoch)
    assert str(thirteen) == str(StaleEpoch("task-13", 1, 2, State.RUNNING))
    assert (thirteen.task, thirteen.current, thirteen.state) == ("task-13", 2, State.RUNNING)
    assert numbers_in(file) == {4, 5}


async def test_a_killed_process_is_replaced(writer: ApartWriter, file: Path) -> None:
    """What is submitted after it is written all the same."""
    await writer.submit(add, 1)
    os.kill(writer.pid, signal.SIGKILL)

    assert await writer.submit(add, 2) == 2
    assert numbers_in(file) == {1, 2}


async def test_what_kills_the_process_is_given_up(writer: ApartWriter) -> None:
    """After three times, with a reason; the ledger goes on."""
    with pytest.raises(LedgerBusy, match="ended 3 times"):
        await writer.submit(end_the_process, None)
    assert await writer.submit(add, 3) == 3


async def test_what_does_not_travel_is_refused(writer: ApartWriter, file: Path) -> None:
    """Its caller alone hears why: what was submitted with it is written."""
    given: list[Any] = [1, lambda: 1, 2]

    one, fault, two = await asyncio.gather(
        *[writer.submit(add, each) for each in given], return_exceptions=True
    )

    assert (one, two) == (1, 2)
    assert isinstance(fault, AttributeError | TypeError | pickle.PicklingError)
    assert numbers_in(file) == {1, 2}


async def test_closing_refuses_what_does_not_travel(writer: ApartWriter) -> None:
    """And ends."""
    bound_here: Any = lambda: 1  # noqa: E731 - it is its kind that matters
    last = asyncio.ensure_future(writer.submit(add, bound_here))
    await asyncio.sleep(0)

    await asyncio.wait_for(writer.aclose(), PATIENCE)

    assert isinstance(last.exception(), AttributeError | TypeError | pickle.PicklingError)


async def test_signals_to_the_group_do_not_end_it(writer: ApartWriter) -> None:
    """Ctrl-C reaches it as well; what its owner then still submits is written by the same one."""
    await writer.submit(add, 1)
    first = writer.pid
    os.kill(first, signal.SIGINT)
    os.kill(first, signal.SIGTERM)

    assert await writer.submit(add, 2) == 2
    assert writer.pid == first


def test_it_ends_with_its_owner(file: Path) -> None:
    """However the owner ends, SIGKILL included."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, f"sqlite:///{file}"], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    watched = os.pidfd_open(int(owner.stdout.readline()))
    owner.kill()
    owner.communicate()
    try:
        ended, _, _ = select.select([watched], [], [], PATIENCE)
    finally:
        os.close(watched)
    assert ended


async def test_the_log_is_copied_into_the_file_beside_the_commits(
    writer: ApartWriter, file: Path, tmp_path: Path
) -> None:
    """A database's file that is read without its log has a commit soon, though none followed."""
    await writer.submit(add, 1)

    def has_it() -> bool:
        alone = tmp_path / "alone.db"
        shutil.copy(file, alone)
        return numbers_in(alone) == {1}

    await asyncio.to_thread(until, has_it)
