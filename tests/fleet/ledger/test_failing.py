"""Failing, cancelling and redriving runs."""

import pytest

from contracts.states import State
from fleet.ledger.errors import IllegalMove, UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.fleet.ledger.story import (
    FAN,
    FAULT,
    NOW,
    a_claim,
    a_graph,
    a_record,
    a_run,
    a_stage,
    carried_out,
    claimed,
    finished,
    later,
    listing,
    one_output,
    promised,
    refused,
)

PAIR = a_graph(
    a_stage("fetch", partitions=("a", "b")),
    a_stage("clean", needs=("fetch",), partitions=("a", "b")),
    a_stage("gather", needs=("clean",)),
)


@pytest.mark.parametrize(
    ("ended", "closes"),
    [
        (State.FAILED, State.FAILED),
        (State.DEAD, State.FAILED),
        (State.DENIED, State.DENIED),
        (State.CANCELLED, State.CANCELLED),
    ],
)
async def test_a_run_closes_as_its_task_ended(
    ledger: Ledger, reader: LedgerReader, ended: State, closes: State
) -> None:
    """What waited for the task is cancelled, saying why."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)

    recorded = await carried_out(ledger, envelope, ended)

    assert recorded.run_state is closes
    run = reader.run(new.run)
    assert (run.state, run.open_tasks, run.ended) == (closes, 0, NOW)
    _, second = reader.tasks(new.run)
    assert second.state is State.CANCELLED
    assert reader.task(second.task).history[-1].detail == f"upstream first: {ended}"


async def test_a_failing_run_closes_when_nothing_of_it_runs_any_more(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """A sibling that runs may finish; it starts nothing."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, right = await promised(ledger)
    running = await claimed(ledger, right)

    failed = await carried_out(ledger, left, State.FAILED)
    last = await ledger.record(a_record(running))

    assert (failed.run_state, last.run_state) == (State.RUNNING, State.FAILED)
    assert await promised(ledger) == []
    states = {(row.stage, row.partition): row.state for row in reader.tasks(new.run)}
    assert states["fetch", "b"] is State.SUCCEEDED
    assert states["clean", "b"] is State.CANCELLED


async def test_cancelling_stops_what_does_not_run(ledger: Ledger, reader: LedgerReader) -> None:
    """The run waits for what does; then it is cancelled."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, right = await promised(ledger)
    running = await claimed(ledger, left)

    told = await ledger.cancel_run(new.run, "ada", "wrong month", NOW)

    assert (told.state, told.running) == (State.RUNNING, 1)
    assert refused(await ledger.claim(a_claim(right))).why == "cancelled"
    recorded = await ledger.record(a_record(running, State.CANCELLED))
    assert recorded.run_state is State.CANCELLED
    assert reader.run(new.run).cancel_requested
    assert reader.task(right.task).history[-1].detail == "wrong month"


async def test_cancelling_takes_promises_back(ledger: Ledger) -> None:
    """What is not on the bus yet does not get there."""
    new = a_run()
    await ledger.start_run(new)

    told = await ledger.cancel_run(new.run, "ada", "wrong month", NOW)

    assert told.state is State.CANCELLED
    assert await promised(ledger) == []


async def test_cancelling_twice_changes_nothing(ledger: Ledger, reader: LedgerReader) -> None:
    """A closed run stays as it closed."""
    new = a_run()
    await ledger.start_run(new)
    await finished(ledger, new.run)
    before = reader.history(new.run)

    told = await ledger.cancel_run(new.run, "ada", "too late", NOW)

    assert told.state is State.SUCCEEDED
    assert reader.history(new.run) == before


async def test_an_unknown_run_cannot_be_cancelled(ledger: Ledger) -> None:
    """It is said so."""
    with pytest.raises(UnknownRow, match="no run nothing"):
        await ledger.cancel_run("nothing", "ada", "because", NOW)


async def test_a_redrive_finishes_a_failed_run(ledger: Ledger, reader: LedgerReader) -> None:
    """The task is tried again, what was cancelled because of it waits again, the run succeeds."""
    new = a_run(FAN)
    await ledger.start_run(new)
    [list_] = await promised(ledger)
    await carried_out(ledger, list_, **listing("a", "b")(list_))
    left, right = await promised(ledger)
    await carried_out(ledger, left, State.FAILED)
    await carried_out(ledger, right, **one_output(right))
    failed = reader.run(new.run)

    recorded = await ledger.redrive(left.task, "ada", "the source is back", later(minutes=5))
    seen = await finished(ledger, new.run)

    assert failed.state is State.FAILED
    assert recorded.run_state is State.RUNNING
    assert [row.envelope.attempt for row in recorded.outbox if row.envelope.task == left.task] == [
        2
    ]
    assert sorted((e.stage, e.partition) for e in seen) == [
        ("clean", "a"),
        ("clean", "b"),
        ("fetch", "a"),
        ("gather", ""),
    ]
    run = reader.run(new.run)
    assert (run.state, run.open_tasks, run.tasks) == (State.SUCCEEDED, 0, 6)


async def test_the_last_redrive_opens_the_run(ledger: Ledger, reader: LedgerReader) -> None:
    """While another task still stands failed, what waits for both stays cancelled."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, right = await promised(ledger)
    await carried_out(ledger, left, State.FAILED)
    await carried_out(ledger, right, State.DENIED)

    await ledger.redrive(left.task, "ada", "again", NOW)
    halfway = {row.state for row in reader.tasks(new.run) if row.stage != "fetch"}
    await ledger.redrive(right.task, "ada", "again", NOW)
    await finished(ledger, new.run)

    assert halfway == {State.CANCELLED}
    assert reader.run(new.run).state is State.SUCCEEDED


async def test_a_redrive_after_the_deadline_gives_as_much_time_again(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Else the sweeper would end it at once."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.FAILED)

    recorded = await ledger.redrive(envelope.task, "ada", "again", later(hours=9))

    [row] = recorded.outbox
    assert row.envelope.deadline == later(hours=11)
    assert (await ledger.sweep(later(hours=10))).moved == 0
    assert reader.run(new.run).deadline == later(hours=11)


async def test_a_parked_task_is_redriven(ledger: Ledger, reader: LedgerReader) -> None:
    """A newer worker may know its kind."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.PARKED, fault=FAULT)

    await ledger.redrive(envelope.task, "ada", "the new version is out", NOW)
    await finished(ledger, new.run)

    assert reader.run(new.run).state is State.SUCCEEDED


async def test_what_did_not_end_badly_is_not_redriven(ledger: Ledger) -> None:
    """Neither is anything of a cancelled run, nor what nobody knows."""
    kept, dropped = a_run(), a_run()
    await ledger.start_run(kept)
    await ledger.start_run(dropped)
    [envelope] = await promised(ledger, kept.run)
    [other] = await promised(ledger, dropped.run)
    await carried_out(ledger, other, State.FAILED)
    await ledger.cancel_run(kept.run, "ada", "wrong month", NOW)

    with pytest.raises(IllegalMove, match="of a cancelled run"):
        await ledger.redrive(envelope.task, "ada", "again", NOW)
    await ledger.redrive(other.task, "ada", "again", NOW)
    with pytest.raises(IllegalMove, match="is queued"):
        await ledger.redrive(other.task, "ada", "again", NOW)
    with pytest.raises(UnknownRow, match="no task nothing"):
        await ledger.redrive("nothing", "ada", "again", NOW)
