"""Archiving runs: whole in a file before they are deleted, and only what ended long ago."""

import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from contracts.states import State
from dispatcher.retention import Retention
from fleet.archiving import Archived, Archiver, archived
from fleet.artifacts.folder import FolderStore
from fleet.ledger import tables
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import SpanRow
from tests.fleet.ledger.story import (
    NOW,
    TRACE,
    a_graph,
    a_pointer,
    a_run,
    a_stage,
    carried_out,
    finished,
    later,
    promised,
)


class Noon:
    """A clock that stands."""

    def now(self) -> datetime:
        return later(days=100)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with await Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as opened:
        yield opened


def an_archiver(ledger: Ledger, tmp_path: Path) -> Archiver:
    return Archiver(ledger, FolderStore(tmp_path / "artifacts"), Noon(), "ada")


def counts(ledger: Ledger) -> Counter[str]:
    """Rows by table, those of the archive itself left out."""
    with ledger.engine.connect() as connection:
        found = {
            table.name: len(connection.execute(table.select()).all())
            for table in tables.metadata.sorted_tables
        }
    del found["archive"]
    return Counter({name: rows for name, rows in found.items() if rows})


async def ended(ledger: Ledger, traceparent: str | None = None) -> str:
    """A run of two tasks that ended at NOW."""
    accepted = await ledger.start_run(a_run(traceparent=traceparent))
    await finished(ledger, accepted.run)
    return accepted.run


async def test_a_run_lies_whole_in_a_file_before_it_is_deleted(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Every row that hangs on it, its spans too; what others left stays as it was."""
    open_run = await ledger.start_run(a_run())
    before = counts(ledger)
    await ended(ledger, traceparent=TRACE)
    trace = TRACE.split("-")[1]
    await ledger.add_spans(
        [SpanRow(trace_id=trace, span_id="a" * 16, name="x", kind="internal", start_ns=1, end_ns=2)]
    )
    archiver = an_archiver(ledger, tmp_path)
    told: list[Archived] = []

    gone = counts(ledger) - before
    total = await archived(archiver, later(days=1), told.append)

    assert counts(ledger) == before
    assert (total.runs, total.tasks, total.rows) == (1, 2, sum(gone.values()))
    (done,) = told
    assert done.archive is not None
    packed = FolderStore(tmp_path / "artifacts").read(done.archive)
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert Counter(line["table"] for line in lines) == gone
    assert open_run.run not in {line.get("run") for line in lines}
    with LedgerReader(str(ledger.engine.url)) as reader:
        (row,) = reader.archives()
    assert (row.digest, row.actor, row.runs) == (done.archive.digest, "ada", 1)


async def test_what_ended_lately_is_left(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing that ended after the time that was named is touched, or promised to be."""
    await ended(ledger)
    archiver = an_archiver(ledger, tmp_path)

    assert await archiver.step(NOW) is None
    assert (await archiver.preview(NOW)).runs == 0
    assert (await archiver.preview(later(seconds=1))).runs == 1


async def test_a_run_that_was_opened_again_is_not_deleted(ledger: Ledger) -> None:
    """A redrive between reading and deleting wins: the file holds what the run was."""
    accepted = await ledger.start_run(a_run(a_graph(a_stage("only"))))
    (envelope,) = await promised(ledger, accepted.run)
    await carried_out(ledger, envelope, State.FAILED)
    runs = await ledger.ended_runs(later(days=1), 10)
    await ledger.redrive(envelope.task, "ada", "mended", later(days=2))

    deleted = await ledger.prune(
        runs, archive_=a_pointer(), rows=1, now=later(days=3), actor="retention"
    )

    assert (len(runs), deleted) == (1, 0)
    assert counts(ledger)["task"] == 1


async def test_retention_keeps_for_ever_unless_told(ledger: Ledger, tmp_path: Path) -> None:
    """The dispatcher archives where days are set, and only then."""
    await ended(ledger)
    archiver = an_archiver(ledger, tmp_path)
    clock = Noon()

    for keep, left in ((0, 1), (101, 1), (99, 0)):
        await Retention(archiver, clock, timedelta(days=keep)).step()

        assert counts(ledger)["run"] == left
