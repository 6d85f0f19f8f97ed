"""Redrives of many."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import JobEnded, MovedOn, UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.redrive import Edit
from fleet.ledger.rows import NewRedrive, RedriveJob, Selection, Stepped
from tests.fleet.ledger.graveyard import buried
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    a_run,
    carried_out,
    finished,
    later,
    listing,
    one_output,
    promised,
)

EVERYTHING = Selection(everything=True)
_SECOND = timedelta(seconds=1)


def a_redrive(selection: Selection = EVERYTHING, **more: Any) -> NewRedrive:
    given = {"job": "job-1", "actor": "ada", "reason": "the source is back", "now": NOW}
    return NewRedrive(selection=selection, **given | more)


async def worked_off(ledger: Ledger, now: datetime = NOW, limit: int = 3) -> list[Stepped]:
    """Steps until there is nothing more to do at once."""
    steps = [await ledger.step_redrives(now, limit)]
    while steps[-1].more:
        steps.append(await ledger.step_redrives(now, limit))
    return steps


def tries(reader: LedgerReader, tasks: list[str]) -> set[int]:
    return {reader.task(task).attempt for task in tasks}


async def test_everything_is_redriven_once_in_bounded_steps(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """No step takes more than its limit; then the job is done and the runs succeed."""
    tasks = await buried(ledger, 10)

    asked = await ledger.start_redrive(a_redrive())
    steps = await worked_off(ledger)
    again = await ledger.step_redrives(NOW)

    assert (asked.state, asked.total, asked.left) == ("running", 10, 10)
    assert [step.redriven for step in steps] == [3, 3, 3, 1]
    assert sum(len(step.outbox) for step in steps) == 10
    assert steps[-1].ended == ("job-1",)
    assert again == Stepped()
    job = reader.redrive("job-1")
    assert (job.state, job.redriven, job.refused, job.ended) == ("done", 10, 0, NOW)
    assert tries(reader, tasks) == {2}
    for task in tasks:
        await finished(ledger, reader.task(task).run)
    assert {run.state for run in reader.runs()} == {State.SUCCEEDED}


async def test_who_and_why_and_what_it_repeats_is_in_the_history(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Of the task and of the job's item, each naming the other."""
    [task] = await buried(ledger, 1)

    await ledger.start_redrive(a_redrive())
    await worked_off(ledger)

    event = reader.task(task).history[-1]
    assert (event.actor, event.detail) == ("ada", "attempt 2, redriven: the source is back")
    assert event.facts == {"redrives": 1, "job": "job-1"}
    [item] = reader.redrive_items("job-1")
    assert (item.task, item.attempt, item.became, item.at) == (task, 1, "2", NOW)


async def test_a_group_is_redriven_and_the_others_are_left(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """By its fingerprint."""
    tasks = await buried(ledger, 9)
    [chosen] = [g for g in reader.dead_groups(NOW) if g.reason == "rules.broken"]

    await ledger.start_redrive(a_redrive(Selection(group=chosen.fingerprint)))
    await worked_off(ledger)

    assert tries(reader, tasks[1::3]) == {2}
    assert tries(reader, tasks[0::3] + tasks[2::3]) == {1}
    assert chosen.fingerprint not in {group.fingerprint for group in reader.dead_groups(NOW)}


async def test_some_are_redriven_and_what_cannot_be_says_why(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Named twice is meant once."""
    tasks = await buried(ledger, 3)
    await ledger.redrive(tasks[1], "bob", "by hand", NOW)

    named = Selection(tasks=(tasks[0], tasks[1], "0a0a", tasks[0]))
    asked = await ledger.start_redrive(a_redrive(named))
    await worked_off(ledger)

    job = reader.redrive("job-1")
    assert (asked.total, job.state, job.redriven, job.refused) == (3, "done", 1, 2)
    _, moved_on, unknown = reader.redrive_items("job-1")
    assert "is queued" in str(moved_on.note)
    assert "no task 0a0a" in str(unknown.note)
    assert tries(reader, tasks[:2]) == {2}
    assert tries(reader, tasks[2:]) == {1}


async def test_two_jobs_over_the_same_tasks_redrive_each_once(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Even when one fails again before the other job comes to it."""
    tasks = await buried(ledger, 6)
    await ledger.start_redrive(a_redrive(job="job-1"))
    await ledger.start_redrive(a_redrive(job="job-2"))
    await ledger.step_redrives(NOW, 6)
    for envelope in await promised(ledger):
        await carried_out(ledger, envelope, State.FAILED)

    await worked_off(ledger)

    first, second = reader.redrive("job-1"), reader.redrive("job-2")
    assert (first.redriven + second.redriven, first.refused + second.refused) == (6, 6)
    assert tries(reader, tasks) == {2}


async def test_a_rate_is_kept_and_a_pause_is_not_caught_up(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """At 2 a second nothing goes at once, then 2 a second, also after an hour away."""
    await buried(ledger, 10)
    await ledger.start_redrive(a_redrive(per_second=2))

    counts = [
        (await ledger.step_redrives(at)).redriven
        for at in (NOW, NOW + _SECOND, NOW + 1.5 * _SECOND, later(hours=1), later(hours=1))
    ]

    assert counts == [0, 2, 1, 2, 0]
    assert reader.redrive("job-1").left == 5


async def test_jobs_take_turns(ledger: Ledger, reader: LedgerReader) -> None:
    """A long one does not keep a short one waiting for its end."""
    tasks = await buried(ledger, 20)
    await ledger.start_redrive(a_redrive(Selection(tasks=tuple(tasks[:18])), job="long"))
    await ledger.start_redrive(a_redrive(Selection(tasks=tuple(tasks[18:])), job="short"))

    for second in range(2):
        await ledger.step_redrives(NOW + (second + 1) * _SECOND, 4)

    assert reader.redrive("short").state == "done"
    assert reader.redrive("long").state == "running"


async def test_a_cancelled_job_goes_no_further(ledger: Ledger, reader: LedgerReader) -> None:
    """What it has redriven stays so; cancelling again changes nothing."""
    await buried(ledger, 5)
    await ledger.start_redrive(a_redrive())
    await ledger.step_redrives(NOW, 2)

    cancelled = await ledger.cancel_redrive("job-1", "bob", later(seconds=5))
    await worked_off(ledger)
    again = await ledger.cancel_redrive("job-1", "eve", later(seconds=9))

    assert (cancelled.state, cancelled.redriven, cancelled.left) == ("cancelled", 2, 3)
    assert again == cancelled == reader.redrive("job-1")
    assert (again.ended_by, again.ended) == ("bob", later(seconds=5))


async def test_what_is_done_or_unknown_is_not_cancelled(ledger: Ledger) -> None:
    """It is said so."""
    empty = await ledger.start_redrive(a_redrive())

    assert (empty.state, empty.total) == ("done", 0)
    with pytest.raises(JobEnded, match="done already"):
        await ledger.cancel_redrive("job-1", "bob", NOW)
    with pytest.raises(UnknownRow, match="no redrive nothing"):
        await ledger.cancel_redrive("nothing", "bob", NOW)


async def test_asking_twice_is_one_job(ledger: Ledger, reader: LedgerReader) -> None:
    """A client that heard no answer may ask again."""
    tasks = await buried(ledger, 2)
    first = await ledger.start_redrive(a_redrive())
    await worked_off(ledger)
    again = await ledger.start_redrive(a_redrive())

    assert (first.state, again.state) == ("running", "done")
    assert [job.job for job in reader.redrives()] == ["job-1"]
    assert tries(reader, tasks) == {2}


async def test_tasks_of_one_run_are_redriven_together(ledger: Ledger, reader: LedgerReader) -> None:
    """The run opens once, and what waited for them waits again."""
    new = a_run(FAN)
    await ledger.start_run(new)
    [list_] = await promised(ledger)
    await carried_out(ledger, list_, **listing("a", "b", "c")(list_))
    left, middle, right = await promised(ledger)
    await carried_out(ledger, middle, **one_output(middle))
    await carried_out(ledger, left, State.FAILED)

    await ledger.start_redrive(a_redrive(Selection(tasks=(left.task, right.task))))
    [step] = await worked_off(ledger)
    await carried_out(ledger, right, **one_output(right))
    await finished(ledger, new.run)

    assert (step.redriven, step.refused) == (1, 1)
    run = reader.run(new.run)
    assert (run.state, run.open_tasks, run.tasks) == (State.SUCCEEDED, 0, 8)
    opened = [e for e in reader.history(new.run) if e.task is None and e.new == "running"]
    assert Counter(e.actor for e in opened if e.old is not None)["ada"] <= 1


async def test_what_an_older_worker_left_ungrouped_is_redriven_with_its_group(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """It writes no fingerprint; the ledger fills it in from the fault."""
    tasks = await buried(ledger, 3, causes=1)
    [group] = reader.dead_groups(NOW)
    with ledger.engine.begin() as connection:
        connection.execute(
            update(tables.task).where(tables.task.c.task == tasks[0]).values(fingerprint=None)
        )

    job: RedriveJob = await ledger.start_redrive(a_redrive(Selection(group=group.fingerprint)))

    assert job.total == 3


async def test_an_edited_payload_travels_with_the_next_attempt(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """What was changed stands in the history."""
    [task] = await buried(ledger, 1)
    patch: list[Any] = [{"op": "add", "path": "/limit", "value": 5}]

    recorded = await ledger.redrive(
        task,
        "ada",
        "a smaller one",
        NOW,
        attempt=1,
        edit=Edit(payload={"limit": 5}, difference=patch),
    )

    [row] = recorded.outbox
    assert row.envelope.body.payload == {"limit": 5}
    detail = reader.task(task)
    assert detail.payload == {"limit": 5}
    assert detail.history[-1].facts == {"redrives": 1, "edit": patch}
    assert "payload edited (/limit): a smaller one" in detail.history[-1].detail


async def test_an_edit_of_an_attempt_that_is_over_changes_nothing(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Somebody redrove it meanwhile and it failed again."""
    [task] = await buried(ledger, 1)
    await ledger.redrive(task, "bob", "again", NOW)
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.FAILED)

    with pytest.raises(MovedOn, match="at attempt 2, not 1"):
        await ledger.redrive(
            task, "ada", "again", NOW, attempt=1, edit=Edit(payload={"limit": 5}, difference=[])
        )

    assert reader.task(task).payload == {}


async def test_the_audit_names_who_stopped_a_redrive_and_who_cancelled_by_force(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """How far it had come; and a page that ends between two acts goes on with the other."""
    await buried(ledger, 4)
    run = (await ledger.start_run(a_run())).run
    await ledger.start_redrive(a_redrive())
    await ledger.step_redrives(NOW, 3)
    await ledger.cancel_redrive("job-1", "bob", later(seconds=7), "it fails again")
    await ledger.cancel_run(run, "eve", "it hangs", later(seconds=8), force=True)

    first = reader.acts(None, 1)
    second = reader.acts(first.next, 1)

    told = [(act.actor, act.action, act.on) for act in (*first.rows, *second.rows)]
    assert told == [
        ("eve", "run.cancel", "the run, by force"),
        ("bob", "dead_letter.redrive", "stopped a redrive after 3 of 4"),
    ]
    assert (second.rows[0].redrive, second.rows[0].reason) == ("job-1", "it fails again")
