"""The read side, and the notes that it shows."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from contracts.states import State
from fleet.ledger.database import open_reading_engine
from fleet.ledger.errors import LedgerMissing, UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import DeadLetter, SpanRow
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    TRACE,
    a_run,
    carried_out,
    claimed,
    finished,
    later,
    listing,
    promised,
)

LETTER = DeadLetter(
    queue="lane-mirror",
    message_id="m1",
    sequence_number=41,
    disposition="dead",
    reason="envelope.malformed",
    description="the body is not JSON",
    size=3,
    at=later(minutes=5),
)


async def test_runs_are_listed_newest_first(ledger: Ledger, reader: LedgerReader) -> None:
    """And narrowed by state, pipeline and tenant."""
    old, young = a_run(), a_run(submitted=later(minutes=1))
    await ledger.start_run(old)
    await ledger.start_run(young)
    await finished(ledger, old.run)

    assert [row.run for row in reader.runs()] == [young.run, old.run]
    assert [row.run for row in reader.runs(limit=1)] == [young.run]
    assert [row.run for row in reader.runs(state=State.SUCCEEDED)] == [old.run]
    assert len(reader.runs(pipeline="sales", tenant="acme")) == 2
    assert reader.runs(tenant="other") == []


async def test_a_run_shows_its_stages_in_graph_order(ledger: Ledger, reader: LedgerReader) -> None:
    """With counts by state, attempts and times; a stage to be discovered has no tasks yet."""
    new = a_run(FAN, traceparent=TRACE)
    await ledger.start_run(new)
    [list_] = await promised(ledger)
    before = reader.run(new.run)
    await carried_out(ledger, list_, **listing("a", "b")(list_))
    [first, _] = await promised(ledger)
    await carried_out(ledger, first, State.RETRYING, retry_at=later(minutes=1))
    [again] = await promised(ledger)
    await claimed(ledger, again)

    after = reader.run(new.run)

    assert [(row.stage, row.tasks) for row in before.stages] == [
        ("list", 1),
        ("fetch", 0),
        ("clean", 0),
        ("gather", 1),
    ]
    listed, fetch, clean, gather = after.stages
    assert (listed.states, listed.attempts, listed.ended) == ({State.SUCCEEDED: 1}, 1, NOW)
    assert (fetch.states, fetch.attempts) == ({State.QUEUED: 1, State.RUNNING: 1}, 2)
    assert (clean.states, clean.started) == ({State.WAITING: 2}, None)
    assert gather.needs == ("clean", "list")
    assert after.request == new.request
    assert after.trace_id == "0af7651916cd43dd8448eb211c80319c"


async def test_lanes_count_open_tasks(ledger: Ledger, reader: LedgerReader) -> None:
    """By state, with the time since which the oldest is queued."""
    await ledger.start_run(a_run())
    await ledger.start_run(a_run(submitted=later(minutes=1)))
    envelope, _ = await promised(ledger)
    await claimed(ledger, envelope)

    [lane] = reader.lanes()

    assert lane.lane == "mirror"
    assert lane.states == {State.QUEUED: 1, State.RUNNING: 1}
    assert lane.oldest_queued == later(minutes=1)


async def test_dead_letters_are_tasks_and_messages_in_one_list(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The newest first; a message noted twice is one."""
    failed, parked = a_run(), a_run()
    for new, state in ((failed, State.FAILED), (parked, State.PARKED)):
        await ledger.start_run(new)
        [envelope] = await promised(ledger)
        at = NOW if state is State.FAILED else later(minutes=1)
        await carried_out(ledger, envelope, state, now=at)
    await ledger.dead_letter(LETTER)
    await ledger.dead_letter(LETTER)

    rows = reader.dead_letters()

    assert [(row.what, row.where, row.state) for row in rows] == [
        ("message", "lane-mirror", "dead"),
        ("task", "first", "parked"),
        ("task", "first", "failed"),
    ]
    assert rows[0].id == "lane-mirror/41"
    assert (rows[2].reason, rows[2].run) == ("source.gone", failed.run)
    assert reader.dead_letters(limit=1) == rows[:1]


async def test_workers_show_what_they_run(ledger: Ledger, reader: LedgerReader) -> None:
    """With the small facts that they told."""
    await ledger.worker_seen("w1", ["mirror"], NOW, {"version": "1.0"})
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)

    [row] = reader.workers()

    assert (row.worker, row.running, row.facts) == ("w1", 1, {"version": "1.0"})


async def test_spans_come_in_the_order_they_began(ledger: Ledger, reader: LedgerReader) -> None:
    """Of one trace only."""
    spans = [
        SpanRow(
            trace_id=trace * 32,
            span_id=span * 16,
            name=span,
            kind="internal",
            start_ns=start,
            end_ns=start + 5,
            attributes={"leaf.lane": "mirror"},
        )
        for trace, span, start in (("a", "2", 20), ("a", "1", 10), ("b", "3", 5))
    ]

    await ledger.add_spans(spans)

    assert reader.spans("a" * 32) == [spans[1], spans[0]]


async def test_ids_are_found_by_their_beginning(ledger: Ledger, reader: LedgerReader) -> None:
    """When only one begins so; a wildcard is a letter like any other."""
    new = a_run()
    await ledger.start_run(new)
    await ledger.start_run(a_run())
    [first, _] = reader.tasks(new.run)

    assert reader.find_run(new.run) == new.run
    assert reader.find_task(first.task[:20]) == first.task
    with pytest.raises(UnknownRow, match="several"):
        reader.find_run(new.run[:8])
    for nothing in ("ffff", "%"):
        with pytest.raises(UnknownRow, match="none"):
            reader.find_run(nothing)


def test_a_ledger_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And is not made by looking at it; the path is not told."""
    file = tmp_path / "ledger.db"

    with pytest.raises(LedgerMissing) as told:
        LedgerReader(f"sqlite:///{file}")

    assert not file.exists()
    assert str(tmp_path) not in str(told.value)


async def test_what_is_unknown_is_told(ledger: Ledger, reader: LedgerReader) -> None:
    """Runs, graphs and tasks."""
    for read in (reader.run, reader.graph, reader.task):
        with pytest.raises(UnknownRow):
            read("nothing")


async def test_a_reader_cannot_write(ledger: Ledger, url: str) -> None:
    """Its connections refuse to."""
    engine = open_reading_engine(url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
        connection.execute(text("DELETE FROM event"))
    engine.dispose()
