"""Migrations."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from fleet.ledger.database import BUSY_SECONDS, open_engine
from fleet.ledger.ledger import Ledger
from fleet.ledger.migrate import _config, to_head
from fleet.ledger.reader import LedgerReader
from fleet.ledger.tables import metadata
from fleet.ledger.turns import turns
from tests.fleet.ledger.story import a_run

_A_DECISION = "INSERT INTO decision VALUES (?, 1, 0, 1767225600000000, ?)"
_DECISIONS = "SELECT * FROM decision ORDER BY task"
OPEN_ONE = """
import asyncio, sys
from fleet.ledger.ledger import Ledger

async def main():
    ledger = await Ledger.open(sys.argv[1])
    await ledger.aclose()

asyncio.run(main())
"""


async def test_the_revisions_make_the_tables_that_the_code_uses(url: str) -> None:
    """From an empty file, nothing is missing and nothing is left over."""
    async with await Ledger.open(url) as ledger:
        with ledger.engine.connect() as connection:
            context = MigrationContext.configure(connection)

            assert compare_metadata(context, metadata) == []


async def test_opening_again_changes_nothing(url: str) -> None:
    """What was recorded is still there."""
    async with await Ledger.open(url) as ledger:
        accepted = await ledger.start_run(a_run(key="k"))

    async with await Ledger.open(url) as ledger:
        again = await ledger.start_run(a_run(key="k"))

    assert again.run == accepted.run


async def test_a_release_goes_on_with_tables_of_a_newer_one(url: str) -> None:
    """Revisions only add: a worker that is started again during an upgrade does its work."""
    async with await Ledger.open(url) as ledger:
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
            connection.exec_driver_sql("ALTER TABLE task ADD COLUMN of_later TEXT")

    async with await Ledger.open(url) as ledger:
        accepted = await ledger.start_run(a_run())

    assert accepted.created


def test_rows_of_before_are_there_when_their_table_is_made_anew(tmp_path: Path) -> None:
    """SQLite: what was written under a primary key's own tree moves to the order of writing."""
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    config = _config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0012")
        for number in range(100):
            connection.exec_driver_sql(_A_DECISION, _decision(number))
        before = connection.exec_driver_sql(_DECISIONS).all()

    to_head(engine)

    with engine.connect() as connection:
        after = connection.exec_driver_sql(_DECISIONS).all()
        made = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE name IN ('decision', 'input', 'output', 'span')"
        ).scalars()
        assert not [sql for sql in made if "WITHOUT ROWID" in sql]
        with pytest.raises(IntegrityError):
            connection.exec_driver_sql(_A_DECISION, _decision(1))
        indexes = {one["name"] for one in inspect(connection).get_indexes("output")}
    engine.dispose()
    assert after == before
    assert indexes == {"ix_output_run_stage"}


def _decision(number: int) -> tuple[str, str]:
    return f"task-{number:03}", "x" * 1_500


async def test_a_reader_sees_what_was_committed(url: str) -> None:
    """While the writer is open."""
    async with await Ledger.open(url) as ledger:
        accepted = await ledger.start_run(a_run())
        with LedgerReader(url) as reader:
            assert [row.run for row in reader.runs()] == [accepted.run]


def test_a_process_waits_while_another_rewrites_tables_for_longer_than_sqlite_waits(
    tmp_path: Path,
) -> None:
    """However long: it does not end because the ledger is locked."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    engine = open_engine(url)
    with turns(url) as turn, turn, engine.begin():
        waiting = subprocess.Popen(
            [sys.executable, "-c", OPEN_ONE, url],
            cwd=Path(__file__).parents[3],
            stderr=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(BUSY_SECONDS + 3)
    engine.dispose()

    assert (waiting.communicate(timeout=60)[1], waiting.returncode) == ("", 0)


def test_processes_that_start_together_migrate_once(url: str, tmp_path: Path) -> None:
    """Four processes open an empty ledger at the same time; all succeed."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_ONE, url],
            cwd=Path(__file__).parents[3],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]

    assert ended == [("", 0)] * 4
    engine = open_engine(url)
    assert "task" in inspect(engine).get_table_names()
    engine.dispose()
