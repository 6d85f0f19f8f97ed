"""Cancelling tasks, and by force."""

import pytest

from contracts.states import State
from fleet.ledger.errors import StaleEpoch, UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.fleet.ledger.story import (
    NOW,
    a_claim,
    a_graph,
    a_record,
    a_run,
    a_stage,
    claimed,
    later,
    one_output,
    promised,
    refused,
)

PAIR = a_graph(
    a_stage("fetch", partitions=("a", "b")),
    a_stage("gather", needs=("fetch",)),
)


async def test_a_task_that_does_not_run_is_cancelled_at_once(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Its message is declined; the run starts nothing more, and ends as cancelled."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, right = await promised(ledger)

    told = await ledger.cancel_task(left.task, "ada", "gone", NOW)

    assert (told.run, told.state, told.running) == (new.run, State.CANCELLED, 0)
    assert refused(await ledger.claim(a_claim(left))).why == "cancelled"
    assert reader.task(left.task).history[-1].detail == "gone"
    recorded = await ledger.record(a_record(await claimed(ledger, right)))
    assert recorded.run_state is State.CANCELLED


async def test_a_running_task_is_asked_to_stop(ledger: Ledger, reader: LedgerReader) -> None:
    """Its worker is told with the next renewal; a retry of it is then a cancellation."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, right = await promised(ledger)
    running, other = await claimed(ledger, left), await claimed(ledger, right)

    told = await ledger.cancel_task(left.task, "ada", "gone", NOW)

    assert (told.state, told.running) == (State.RUNNING, 1)
    leases = [(running.task, running.epoch), (other.task, other.epoch)]
    assert await ledger.renew(leases, later(minutes=1), NOW) == {left.task}
    await ledger.record(a_record(running, State.RETRYING, retry_at=NOW))
    assert reader.task(left.task).state is State.CANCELLED


async def test_a_lapsed_task_that_was_to_stop_is_not_tried_again(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The sweep finds its lease run out and cancels it."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, _ = await promised(ledger)
    await claimed(ledger, left)
    await ledger.cancel_task(left.task, "ada", "gone", NOW)

    await ledger.sweep(later(minutes=5))

    assert reader.task(left.task).state is State.CANCELLED


async def test_by_force_a_task_is_over_at_once(ledger: Ledger, reader: LedgerReader) -> None:
    """Whatever its worker still records is refused."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, _ = await promised(ledger)
    running = await claimed(ledger, left)

    told = await ledger.cancel_task(left.task, "ada", "hangs", NOW, force=True)

    assert (told.state, told.running) == (State.CANCELLED, 0)
    assert await ledger.renew([(running.task, running.epoch)], later(minutes=1), NOW) == {left.task}
    with pytest.raises(StaleEpoch):
        await ledger.record(a_record(running, **one_output(left)))
    task = reader.task(left.task)
    assert (task.state, task.attempts[0].state, task.outputs) == (
        State.CANCELLED,
        State.CANCELLED,
        (),
    )


async def test_by_force_a_run_is_over_at_once(ledger: Ledger, reader: LedgerReader) -> None:
    """Also what runs of it."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, _ = await promised(ledger)
    running = await claimed(ledger, left)

    told = await ledger.cancel_run(new.run, "ada", "hangs", NOW, force=True)

    assert (told.state, told.running) == (State.CANCELLED, 0)
    assert {task.state for task in reader.tasks(new.run)} == {State.CANCELLED}
    assert reader.task(left.task).attempts[0].ended == NOW
    with pytest.raises(StaleEpoch):
        await ledger.record(a_record(running))


async def test_a_task_that_has_ended_stays_as_it_is(ledger: Ledger, reader: LedgerReader) -> None:
    """And one that nobody knows is said to be none."""
    new = a_run(PAIR)
    await ledger.start_run(new)
    left, _ = await promised(ledger)
    await ledger.record(a_record(await claimed(ledger, left)))
    before = reader.history(new.run)

    told = await ledger.cancel_task(left.task, "ada", "too late", NOW, force=True)

    assert told.state is State.SUCCEEDED
    assert reader.history(new.run) == before
    with pytest.raises(UnknownRow, match="no task nothing"):
        await ledger.cancel_task("nothing", "ada", "because", NOW)
