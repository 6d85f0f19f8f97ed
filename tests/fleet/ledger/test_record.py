"""Recording how attempts end."""

import asyncio

import pytest

from contracts.states import State
from fleet.ledger.errors import IllegalMove, IllegalRecord, StaleEpoch
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Record
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    TRACE,
    a_decision,
    a_pointer,
    a_record,
    a_run,
    carried_out,
    claimed,
    finished,
    later,
    promised,
)


async def test_success_leaves_artifacts_lineage_decisions_and_facts(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Everything that a record brings is found again with its task."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    outputs = (a_pointer("b.csv"), a_pointer("a.csv"))
    inputs = (a_pointer("raw.csv"),)
    decision = a_decision()

    await carried_out(
        ledger,
        envelope,
        outputs=outputs,
        inputs=inputs,
        decisions=(decision,),
        facts={"rows": 12},
        traceparent=TRACE,
    )

    task = reader.task(envelope.task)
    assert (task.state, task.ended, task.lease_until) == (State.SUCCEEDED, NOW, None)
    assert (task.outputs, task.inputs, task.facts) == (outputs, inputs, {"rows": 12})
    assert [(one.epoch, one.decision) for one in task.decisions] == [(1, decision)]
    assert task.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert [row.pointer.name for row in reader.artifacts(envelope.run)] == ["a.csv", "b.csv"]
    assert [(event.old, event.new, event.actor) for event in task.history] == [
        (State.WAITING, State.QUEUED, "ada"),
        (State.QUEUED, State.RUNNING, "w1"),
        (State.RUNNING, State.SUCCEEDED, "w1"),
    ]


async def test_success_hands_on_what_became_ready(ledger: Ledger) -> None:
    """The next task's envelope carries the outputs and continues the trace."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    output = a_pointer("a.csv")

    recorded = await carried_out(ledger, envelope, outputs=(output,), traceparent=TRACE)

    [row] = recorded.outbox
    assert recorded.run_state is State.RUNNING
    assert row.envelope.stage == "second"
    assert row.envelope.body.inputs == {"first": (output,)}
    assert row.envelope.traceparent == TRACE
    assert [due.seq for due in await ledger.due_outbox(10, later(seconds=1))] == [row.seq]


async def test_the_last_success_closes_the_run(ledger: Ledger, reader: LedgerReader) -> None:
    """A run has succeeded when all of its tasks have."""
    new = a_run()
    await ledger.start_run(new)

    await finished(ledger, new.run)

    run = reader.run(new.run)
    assert (run.state, run.open_tasks, run.ended) == (State.SUCCEEDED, 0, NOW)


async def test_a_stale_epoch_writes_nothing(ledger: Ledger, reader: LedgerReader) -> None:
    """After a takeover, what the first holder brings leaves no trace at all."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    old = await claimed(ledger, envelope)
    await claimed(ledger, envelope, "w2", later(minutes=1))
    before = (reader.task(envelope.task), reader.history(new.run), reader.artifacts(new.run))

    with pytest.raises(StaleEpoch, match="epoch 2"):
        await ledger.record(
            a_record(old, outputs=(a_pointer(),), decisions=(a_decision(),), facts={"rows": 1})
        )

    after = (reader.task(envelope.task), reader.history(new.run), reader.artifacts(new.run))
    assert after == before
    assert await promised(ledger) == []


async def test_a_record_is_taken_once(ledger: Ledger, reader: LedgerReader) -> None:
    """Of two equal records at the same time one is stale."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    record = a_record(await claimed(ledger, envelope), outputs=(a_pointer(),))

    answers = await asyncio.gather(
        ledger.record(record), ledger.record(record), return_exceptions=True
    )

    assert sum(isinstance(answer, StaleEpoch) for answer in answers) == 1
    assert len(reader.artifacts(new.run)) == 1
    assert len(await promised(ledger)) == 1


async def test_a_task_nobody_knows_is_stale(ledger: Ledger) -> None:
    """There is nothing that could have been claimed."""
    record = Record(task="nobody's", epoch=1, worker="w1", now=NOW, state=State.SUCCEEDED)

    with pytest.raises(StaleEpoch, match="is unknown"):
        await ledger.record(record)


async def test_a_retry_is_promised_for_later(ledger: Ledger, reader: LedgerReader) -> None:
    """The next attempt has its own envelope, and a time before which it is not to be tried."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)

    recorded = await carried_out(ledger, envelope, State.RETRYING, retry_at=later(minutes=1))

    [row] = recorded.outbox
    assert (row.envelope.attempt, row.not_before) == (2, later(minutes=1))
    assert row.envelope.message_id != envelope.message_id
    assert reader.task(envelope.task).state is State.RETRYING
    assert (await claimed(ledger, row.envelope)).epoch == 2


async def test_a_release_spends_no_attempt(ledger: Ledger, reader: LedgerReader) -> None:
    """The delivery comes back by itself: no new promise, and the same attempt can be claimed."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)

    recorded = await carried_out(ledger, envelope, State.QUEUED)

    assert recorded.outbox == ()
    assert reader.task(envelope.task).state is State.QUEUED
    again = await claimed(ledger, envelope, "w2")
    assert (again.attempt, again.epoch) == (1, 2)


@pytest.mark.parametrize("state", [State.HELD, State.PARKED])
async def test_a_task_can_be_put_aside(ledger: Ledger, reader: LedgerReader, state: State) -> None:
    """Held and parked tasks keep the run open and cannot be claimed."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)

    recorded = await carried_out(ledger, envelope, state)

    assert recorded.run_state is State.RUNNING
    assert reader.task(envelope.task).state is state
    assert reader.run(new.run).open_tasks == 2


async def test_a_move_outside_the_table_is_refused(ledger: Ledger, reader: LedgerReader) -> None:
    """What runs cannot wait again."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    claim = await claimed(ledger, envelope)

    with pytest.raises(IllegalMove, match="running and cannot become waiting"):
        await ledger.record(a_record(claim, State.WAITING))

    assert reader.task(envelope.task).state is State.RUNNING


async def test_a_retry_without_a_time_is_refused(ledger: Ledger) -> None:
    """And so is a time without a retry."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    claim = await claimed(ledger, envelope)

    with pytest.raises(IllegalRecord, match="retrying needs a time"):
        await ledger.record(a_record(claim, State.RETRYING))
    with pytest.raises(IllegalRecord, match="nothing else may have one"):
        await ledger.record(a_record(claim, retry_at=later(minutes=1)))


@pytest.mark.parametrize(
    ("partitions", "words"),
    [(None, "not even none"), (("a", "a"), "more than once")],
    ids=["none named", "one named twice"],
)
async def test_discoveries_that_cannot_be_fanned_out_are_refused(
    ledger: Ledger, reader: LedgerReader, partitions: tuple[str, ...] | None, words: str
) -> None:
    """The attempt stays open, so that its worker can record what went wrong instead."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)
    claim = await claimed(ledger, envelope)

    with pytest.raises(IllegalRecord, match=words):
        await ledger.record(a_record(claim, partitions=partitions, outputs=(a_pointer(),)))

    assert reader.task(claim.task).outputs == ()
    assert (await ledger.record(a_record(claim, State.FAILED))).run_state is State.FAILED


async def test_runs_do_not_touch_one_another(ledger: Ledger, reader: LedgerReader) -> None:
    """Two runs of one graph advance at the same time; one fails, the other does not notice."""
    left, right = a_run(), a_run()
    await ledger.start_run(left)
    await ledger.start_run(right)
    [first] = await promised(ledger, left.run)
    [other] = await promised(ledger, right.run)

    await asyncio.gather(
        carried_out(ledger, first, State.FAILED),
        carried_out(ledger, other, outputs=(a_pointer("right.csv"),)),
    )

    assert reader.run(left.run).state is State.FAILED
    [next_one] = await promised(ledger)
    assert next_one.run == right.run
    assert [pointer.name for pointer in next_one.body.inputs["first"]] == ["right.csv"]


@pytest.mark.parametrize("state", [State.RETRYING, State.QUEUED, State.HELD, State.PARKED])
async def test_nothing_goes_on_in_a_run_that_was_cancelled(
    ledger: Ledger, reader: LedgerReader, state: State
) -> None:
    """The task ends with its run, instead of keeping it open until the deadline."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    claim = await claimed(ledger, envelope)
    await ledger.cancel_run(new.run, "ada", "not needed", NOW)

    retry = {"retry_at": later(minutes=1)} if state is State.RETRYING else {}
    recorded = await ledger.record(a_record(claim, state, **retry))

    assert recorded.run_state is State.CANCELLED
    assert reader.task(claim.task).state is State.CANCELLED
    assert await promised(ledger) == []
