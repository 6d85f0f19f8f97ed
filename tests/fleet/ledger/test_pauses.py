"""Pauses: nothing of what is paused starts, nothing of it is lost, no attempt is spent."""

from typing import Any

from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause
from fleet.ledger.reader import LedgerReader
from tests.fleet.ledger.story import (
    CHAIN,
    NOW,
    a_claim,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    claimed,
    later,
    promised,
    refused,
)


def a_pause(what: Any = "lane", name: str = "mirror", **more: Any) -> Pause:
    given: dict[str, Any] = {"actor": "ana", "reason": "the source is being moved", "now": NOW}
    return Pause(what=what, name=name, **{"resume": False} | given | more)


async def woken(ledger: Ledger, seconds: float = 5) -> int:
    """What the dispatcher's waker does; how many tasks it promised again."""
    keys = await ledger.wakeable(later(seconds=seconds))
    return (await ledger.wake(keys, later(seconds=seconds))).tasks if keys else 0


async def test_a_claim_on_a_paused_lane_is_put_off_and_promised_after_the_pause(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Under another message id, since the first was completed; at the same attempt."""
    run = (await ledger.start_run(a_run())).run
    (first,) = await promised(ledger, run)
    await ledger.pause(a_pause())

    answer = refused(await ledger.claim(a_claim(first)))
    during = await woken(ledger)
    await ledger.pause(a_pause(resume=True, reason="it is moved"))
    after = await woken(ledger)
    (again,) = await promised(ledger, run)

    assert (answer.why, answer.holder, during, after) == ("paused", "paused/lane/mirror", 0, 1)
    assert again.message_id != first.message_id
    assert (again.attempt, again.body) == (1, first.body)
    assert (await claimed(ledger, again, now=later(seconds=6))).attempt == 1
    assert reader.task(first.task).attempt == 1


async def test_a_paused_pipeline_leaves_others_of_its_lane_alone(ledger: Ledger) -> None:
    """Its tasks wait; another pipeline's on the same lane run."""
    ours, theirs = a_run(), a_run()
    request = theirs.request.model_copy(update={"pipeline": "costs"})
    theirs = theirs.model_copy(update={"request": request})
    await ledger.start_run(ours)
    await ledger.start_run(theirs)
    (one,), (other,) = await promised(ledger, ours.run), await promised(ledger, theirs.run)
    await ledger.pause(a_pause("pipeline", "sales"))

    assert refused(await ledger.claim(a_claim(one))).why == "paused"
    assert (await claimed(ledger, other)).run == theirs.run


async def test_what_is_paused_is_not_relayed(ledger: Ledger) -> None:
    """A run that is asked for meanwhile is taken on; its envelopes wait in the outbox."""
    await ledger.pause(a_pause("pipeline", "sales"))
    run = (await ledger.start_run(a_run())).run

    during = await promised(ledger, run)
    await ledger.pause(a_pause("pipeline", "sales", resume=True))

    assert during == []
    assert len(await promised(ledger, run)) == 1


async def test_what_runs_when_a_lane_is_paused_goes_on_to_its_end(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """And what follows from it waits."""
    run = (await ledger.start_run(a_run(CHAIN))).run
    (first,) = await promised(ledger, run)
    holder = await claimed(ledger, first)
    await ledger.pause(a_pause())

    assert await ledger.renew([(holder.task, holder.epoch)], later(seconds=60), NOW) == frozenset()
    await carried_out_of(ledger, holder)

    assert reader.task(first.task).state is State.SUCCEEDED
    assert await promised(ledger, run) == []


async def carried_out_of(ledger: Ledger, holder: Any) -> None:
    from tests.fleet.ledger.story import a_record

    await ledger.record(a_record(holder))


async def test_a_pause_is_told_with_who_and_why_and_stays_in_the_audit(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Pausing twice is one pause; the lane says so while it lasts."""
    changed = [await ledger.pause(a_pause()), await ledger.pause(a_pause(actor="bob"))]
    (standing,) = reader.pauses()
    (lane,) = reader.lanes()
    changed.append(await ledger.pause(a_pause(resume=True, actor="bob", now=later(hours=1))))
    changed.append(await ledger.pause(a_pause(resume=True)))

    assert changed == [True, False, True, False]
    assert (standing.what, standing.name, standing.actor) == ("lane", "mirror", "ana")
    assert lane.paused == standing
    assert reader.pauses() == []
    assert [(row.action, row.actor) for row in reader.audit("lane", "mirror")] == [
        ("resume", "bob"),
        ("pause", "ana"),
    ]


async def test_the_sweep_takes_nothing_of_a_paused_lane_for_lost(ledger: Ledger) -> None:
    """Its messages lie on the queue, or in the ledger, for as long as the pause lasts."""
    graph = a_graph(a_stage("first"), a_stage("second"))
    run = (await ledger.start_run(a_run(graph))).run
    first, _ = await promised(ledger, run)
    await ledger.worker_seen("w1", ["mirror"], later(minutes=60), {})
    await ledger.pause(a_pause())
    refused(await ledger.claim(a_claim(first)))

    swept = await ledger.sweep(later(minutes=60))

    assert swept.promised_again == 0
    assert await promised(ledger, run) == []


async def test_a_task_that_is_cancelled_while_put_off_stays_cancelled(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The end of the pause promises nothing of it."""
    run = (await ledger.start_run(a_run())).run
    (first,) = await promised(ledger, run)
    await ledger.pause(a_pause())
    refused(await ledger.claim(a_claim(first)))
    await ledger.cancel_run(run, "ana", "not needed", NOW)
    await ledger.pause(a_pause(resume=True))

    assert await woken(ledger) == 0
    assert reader.run(run).state is State.CANCELLED
    assert await ledger.wakeable(later(seconds=6)) == ()


async def test_an_urgent_run_is_relayed_before_what_was_promised_earlier(ledger: Ledger) -> None:
    """And its tasks are named to the workers, to be taken ahead of the lane's queue."""
    usual, urgent = a_run(), a_run()
    request = urgent.request.model_copy(update={"priority": 9})
    await ledger.start_run(usual)
    await ledger.start_run(urgent.model_copy(update={"request": request}))

    order = [one.run for one in await promised(ledger)]
    ahead = await ledger.ahead("mirror", later(seconds=1), 10)
    seen = await ledger.flow(later(seconds=1))
    await carried_out(ledger, ahead[0])

    assert order == [urgent.run, usual.run]
    assert [one.run for one in ahead] == [urgent.run]
    assert seen.ahead == {"mirror"}
    assert [one.stage for one in await ledger.ahead("mirror", later(seconds=1), 10)] == ["second"]
