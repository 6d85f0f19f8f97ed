"""The sweep."""

import asyncio
from datetime import timedelta

from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Swept
from fleet.ledger.sweep import SweepRules
from tests.fleet.ledger.story import (
    NOW,
    a_claim,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    claimed,
    finished,
    later,
    promised,
    refused,
)

NOTHING = Swept()
PAIR = a_graph(a_stage("fetch", partitions=("a", "b")))


async def test_an_expired_lease_is_promised_again(ledger: Ledger, reader: LedgerReader) -> None:
    """The silent worker's attempt is over; the next one can be claimed."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)

    swept = await ledger.sweep(later(minutes=1))

    assert swept == Swept(requeued=1)
    [again] = await promised(ledger)
    assert (again.task, again.attempt) == (envelope.task, 2)
    task = reader.task(envelope.task)
    assert task.state is State.QUEUED
    [attempt] = task.attempts
    assert attempt.fault is not None
    assert (attempt.ended, attempt.fault.code) == (later(minutes=1), "lease.expired")
    assert refused(await ledger.claim(a_claim(envelope))).why == "superseded"
    await carried_out(ledger, again)
    await finished(ledger, new.run)
    assert reader.run(new.run).state is State.SUCCEEDED


async def test_a_live_lease_is_left_alone(ledger: Ledger) -> None:
    """Nothing is moved before its time."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)

    assert await ledger.sweep(later(seconds=29)) == NOTHING


async def test_a_task_without_attempts_left_is_dead(ledger: Ledger, reader: LedgerReader) -> None:
    """Three attempts, as the lane's limits say; then the run fails."""
    new = a_run()
    await ledger.start_run(new)
    for number in range(3):
        [envelope] = await promised(ledger)
        await claimed(ledger, envelope, now=later(minutes=number))
        swept = await ledger.sweep(later(minutes=number, seconds=40))

    assert swept == Swept(dead=1)
    [row] = [row for row in reader.dead_letters() if row.what == "task"]
    assert (row.task, row.state, row.reason) == (envelope.task, "dead", "lease.expired")
    assert reader.run(new.run).state is State.FAILED


async def test_a_second_sweep_finds_nothing_left(ledger: Ledger, url: str) -> None:
    """Several processes sweep at once: each lease is found once."""
    await ledger.start_run(a_run(PAIR))
    for envelope in await promised(ledger):
        await claimed(ledger, envelope)

    async with await Ledger.open(url) as other:
        sweeps = await asyncio.gather(
            *[side.sweep(later(minutes=1)) for side in (ledger, other) for _ in range(3)]
        )

    assert sum(swept.requeued for swept in sweeps) == 2
    assert len(await promised(ledger)) == 2


async def test_a_sweep_is_bounded(ledger: Ledger) -> None:
    """The next one goes on where it stopped."""
    await ledger.start_run(a_run(PAIR))
    for envelope in await promised(ledger):
        await claimed(ledger, envelope)
    one_each = SweepRules(limit=1)

    moved = [(await ledger.sweep(later(minutes=1), one_each)).requeued for _ in range(3)]

    assert moved == [1, 1, 0]


async def test_a_cancelled_runs_expired_lease_is_not_promised_again(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The run can close."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)
    await ledger.cancel_run(new.run, "ada", "wrong month", NOW)

    await ledger.sweep(later(minutes=1))

    assert reader.run(new.run).state is State.CANCELLED
    assert await promised(ledger) == []


async def test_what_waits_past_its_deadline_ends(ledger: Ledger, reader: LedgerReader) -> None:
    """Queued, retrying and parked tasks die; a held one was not approved: denied."""
    stages = [a_stage(name) for name in ("queued", "retrying", "parked", "held")]
    runs = {stage.name: a_run(a_graph(stage)) for stage in stages}
    for new in runs.values():
        await ledger.start_run(new)
    for envelope in await promised(ledger):
        state = State(envelope.stage)
        if state is not State.QUEUED:
            retry_at = later(hours=1) if state is State.RETRYING else None
            await carried_out(ledger, envelope, state, retry_at=retry_at)

    swept = await ledger.sweep(later(hours=3))

    assert swept == Swept(expired=4)
    states = {name: reader.tasks(new.run)[0] for name, new in runs.items()}
    assert {name: row.state for name, row in states.items()} == {
        "queued": State.DEAD,
        "retrying": State.DEAD,
        "parked": State.DEAD,
        "held": State.DENIED,
    }
    assert {row.fault and row.fault.code for row in states.values()} == {"deadline.passed"}
    assert reader.run(runs["held"].run).state is State.DENIED
    assert await ledger.sweep(later(hours=3)) == NOTHING


async def test_a_message_its_lane_has_gone_past_is_promised_again(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Later messages of the lane were taken up and this one was not: it is lost."""
    lost, newer = a_run(), a_run(submitted=later(minutes=30))
    await ledger.start_run(lost)
    [missing] = await promised(ledger)
    await ledger.start_run(newer)
    [taken] = await promised(ledger)
    await claimed(ledger, taken, now=later(minutes=30))

    swept = await ledger.sweep(later(minutes=30, seconds=1))

    assert swept == Swept(promised_again=1)
    [again] = await promised(ledger)
    assert (again.task, again.attempt) == (missing.task, 2)
    assert reader.task(missing.task).max_attempts == 4
    assert reader.task(missing.task).state is State.QUEUED


async def test_a_message_of_an_idle_lane_is_promised_again(ledger: Ledger) -> None:
    """A worker is at hand, nothing runs, and still nobody takes it: its queue must be empty."""
    await ledger.start_run(a_run())
    await promised(ledger)
    await ledger.worker_seen("w1", ["mirror"], later(minutes=29), {})

    swept = await ledger.sweep(later(minutes=30))

    assert swept == Swept(promised_again=1)


async def test_a_message_of_a_queue_that_was_seen_empty_is_promised_again(ledger: Ledger) -> None:
    """With no worker at hand: a lane that scaled to none would wait for ever. Others' lanes are not
    touched, and nothing that was sent a moment ago."""
    await ledger.start_run(a_run())
    await promised(ledger)
    empty = frozenset({"mirror"})

    assert await ledger.sweep(later(minutes=30), empty=frozenset({"compute"})) == NOTHING
    assert await ledger.sweep(later(minutes=9), empty=empty) == NOTHING
    assert await ledger.sweep(later(minutes=30), empty=empty) == Swept(promised_again=1)


async def test_a_long_queue_is_no_loss(ledger: Ledger) -> None:
    """The lane is busy with what came before: promising again would only make it longer."""
    await ledger.start_run(a_run(PAIR))
    first, _ = await promised(ledger)
    await claimed(ledger, first)
    await ledger.renew([(first.task, 1)], later(hours=1), NOW)
    await ledger.worker_seen("w1", ["mirror"], later(minutes=30), {})

    assert await ledger.sweep(later(minutes=30)) == NOTHING


async def test_a_promise_that_was_never_relayed_is_not_lost(ledger: Ledger) -> None:
    """It is still on the outbox: the relay's to send."""
    await ledger.start_run(a_run())
    await ledger.worker_seen("w1", ["mirror"], later(minutes=30), {})

    assert await ledger.sweep(later(minutes=30)) == NOTHING


async def test_a_released_attempt_whose_delivery_is_lost_is_promised_again(ledger: Ledger) -> None:
    """Its promise was taken up, so the outbox holds none: the sweep makes a new one."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.QUEUED)
    await ledger.worker_seen("w1", ["mirror"], later(minutes=30), {})

    swept = await ledger.sweep(later(minutes=30))

    assert swept == Swept(promised_again=1)
    assert [again.attempt for again in await promised(ledger)] == [2]


async def test_a_fan_out_too_wide_for_one_transaction_goes_on(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """5,000 of 5,200 ready tasks are promised at once, the others by the sweep."""
    names = tuple(f"p{number:04}" for number in range(5200))
    new = a_run(a_graph(a_stage("fetch", partitions=names)))
    await ledger.start_run(new)
    first = await promised(ledger)

    swept = await ledger.sweep(NOW)

    second = await promised(ledger)
    assert swept == Swept(queued=200)
    assert [envelope.partition for envelope in first + second] == list(names)
    assert {row.state for row in reader.tasks(new.run)} == {State.QUEUED}


async def test_a_silent_worker_is_gone_until_it_is_seen(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """A worker that speaks again is live again."""
    await ledger.worker_seen("w1", ["mirror"], NOW, {"version": "1.0"})

    swept = await ledger.sweep(NOW + timedelta(minutes=2))
    gone = reader.workers()[0].state
    await ledger.worker_seen("w1", ["mirror", "compute"], later(minutes=3), {})

    [row] = reader.workers()
    assert (swept.workers_gone, gone) == (1, "gone")
    assert (row.state, row.lanes, row.first_seen) == ("live", ("compute", "mirror"), NOW)
