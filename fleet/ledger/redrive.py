"""Redriving: an operator has another attempt made at a task that had ended badly or was parked.

The run opens again. What was cancelled because of the task waits again, unless another task of the
run still stands failed: then it would wait for ever, and the last redrive opens it.

Any number of tasks, of any number of runs, by a fixed number of statements.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal, null, select, update

from contracts.fact import JsonObject
from contracts.states import FINAL, State, may_move
from fleet.ledger import tables
from fleet.ledger.advance import hold, queue_ready
from fleet.ledger.errors import IllegalMove, LedgerError, MovedOn, UnknownRow
from fleet.ledger.fingerprints import OPENED_AGAIN
from fleet.ledger.moves import IDS, an_event, append_events, chunks, new_token
from fleet.ledger.promise import PROMISED, a_promise, promise
from fleet.ledger.rows import OutboxRow, Recorded
from fleet.ledger.runs import facts_of
from fleet.ledger.types import AnyRow, UtcTime, as_json, key

_r, _t = tables.run.c, tables.task.c

_states = select(_t.task, _t.run, _t.state, _t.attempt).where(
    _t.task.in_(bindparam("tasks", expanding=True))
)

_runs = select(
    _r.run, _r.state, _r.failing, _r.open_tasks, _r.cancel_requested, _r.submitted, _r.deadline
).where(_r.run.in_(bindparam("runs", expanding=True)))

_open = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"))
    .values(
        state=State.QUEUED.value,
        was=_t.state,
        token=bindparam("b_token"),
        attempt=_t.attempt + 1,
        # An operator's attempt is one more than the lane allows, not one of them.
        max_attempts=_t.max_attempts + 1,
        queued=bindparam("b_now"),
        ended=null(),
        fault=null(),
        fingerprint=null(),
        payload=func.coalesce(bindparam("b_payload"), _t.payload),
    )
)

_opened = select(*PROMISED).where(_t.task.in_(bindparam("tasks", expanding=True)))

_give_run_time = (
    update(tables.run).where(_r.run == bindparam("b_run")).values(deadline=bindparam("b_deadline"))
)

_give_tasks_time = (
    update(tables.task)
    .where(_t.run == bindparam("b_run"), _t.state != State.SUCCEEDED.value)
    .values(deadline=bindparam("b_deadline"))
)

_failed = (
    select(_t.run, _t.state)
    .where(
        _t.run.in_(bindparam("runs", expanding=True)),
        _t.state.in_([State.FAILED.value, State.DEAD.value, State.DENIED.value]),
    )
    .distinct()
)

_write_run = (
    update(tables.run)
    .where(_r.run == bindparam("b_run"))
    .values(
        state=State.RUNNING.value,
        failing=bindparam("b_failing"),
        ended=null(),
        open_tasks=_r.open_tasks + bindparam("b_opened"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Another payload for the new attempt, and how it differs from the old one."""

    payload: JsonObject
    difference: list[JsonObject]
    """A JSON Patch (RFC 6902) with `was` beside each value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Who wants which task tried again, and why."""

    task: str
    actor: str
    reason: str
    now: datetime
    attempt: int | None = None
    """The attempt that failed; when the task has moved on since, nothing is done."""
    edit: Edit | None = None
    job: str | None = None
    """The redrive of many that this is part of."""


def redrive_tasks(
    connection: Connection, asked: Sequence[Redrive]
) -> Sequence[Recorded | LedgerError]:
    """What each redrive promised, or why nothing of it was done.

    Of the rows that the redrives of one run caused together, the first of them hands all on.
    """
    answers: list[Recorded | LedgerError | None] = [None] * len(asked)
    together: defaultdict[tuple[str, str, datetime], list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        together[one.actor, one.reason, one.now].append(place)
    for places in together.values():
        for place, answer in zip(
            places, _redrive(connection, [asked[place] for place in places]), strict=True
        ):
            answers[place] = answer
    return [answer for answer in answers if answer is not None]


def _redrive(connection: Connection, asked: Sequence[Redrive]) -> list[Recorded | LedgerError]:
    """For redrives of one actor, one reason and one time."""
    actor, now = asked[0].actor, asked[0].now
    tasks, runs = _held(connection, [one.task for one in asked])
    answers: list[Recorded | LedgerError | None] = []
    chosen: dict[str, Redrive] = {}
    for one in asked:
        answers.append(_refusal(one, tasks, runs, again=one.task in chosen))
        if answers[-1] is None:
            chosen[one.task] = one
    if not chosen:
        return [answer for answer in answers if answer is not None]
    _give_time(connection, [runs[run] for run in _runs_of(chosen, tasks)], now)
    connection.execute(_open, [_opening(one) for one in chosen.values()])
    queued = {
        row.task: row
        for some in chunks([*chosen], IDS)
        for row in connection.execute(_opened, {"tasks": some})
    }
    ours = [runs[run] for run in _runs_of(chosen, tasks)]
    append_events(
        connection,
        [_task_event(one, tasks[one.task], queued[one.task]) for one in chosen.values()]
        + [_run_event(run, asked[0]) for run in ours if run.state != State.RUNNING],
    )
    failing = _still_failing(connection, [run.run for run in ours])
    reopened = [run.run for run in ours if run.failing is not None and run.run not in failing]
    opened = _wait_again(connection, reopened, actor, now)
    for one in chosen.values():
        if State(tasks[one.task].state) in FINAL:
            opened[tasks[one.task].run] += 1
    connection.execute(
        _write_run,
        [
            {
                "b_run": run.run,
                "b_failing": failing.get(run.run),
                "b_opened": opened[run.run],
            }
            for run in ours
        ],
    )
    promises = [a_promise(queued[task]) for task in chosen]
    going_on = [run.run for run in ours if run.run not in failing]
    promises += queue_ready(connection, going_on, dict.fromkeys(going_on, (actor, None)), now)
    caused: defaultdict[str, list[OutboxRow]] = defaultdict(list)
    for row in promise(connection, promises, facts_of(connection, [r.run for r in ours]), now):
        caused[row.run].append(row)
    return [
        Recorded(
            outbox=tuple(caused.pop(tasks[one.task].run, ())),
            run_state=State.RUNNING,
        )
        if answer is None
        else answer
        for one, answer in zip(asked, answers, strict=True)
    ]


def _held(
    connection: Connection, asked: Sequence[str]
) -> tuple[dict[str, AnyRow], dict[str, AnyRow]]:
    """Tasks and runs by id, read once their runs are held: nobody moves them any more."""

    def rows() -> dict[str, AnyRow]:
        return {
            row.task: row
            for some in chunks(asked, IDS)
            for row in connection.execute(_states, {"tasks": some})
        }

    ids = sorted({row.run for row in rows().values()})
    hold(connection, ids)
    runs = {
        row.run: row
        for some in chunks(ids, IDS)
        for row in connection.execute(_runs, {"runs": some})
    }
    return rows(), runs


def _runs_of(chosen: Iterable[str], tasks: Mapping[str, AnyRow]) -> list[str]:
    return list(dict.fromkeys(tasks[task].run for task in chosen))


def _refusal(
    one: Redrive, tasks: Mapping[str, AnyRow], runs: Mapping[str, AnyRow], *, again: bool
) -> LedgerError | None:
    row = tasks.get(one.task)
    if row is None:
        return UnknownRow(f"there is no task {one.task}; nothing was redriven")
    state = State.QUEUED if again else State(row.state)
    cancelled = runs[row.run].cancel_requested
    if state not in OPENED_AGAIN or not may_move(state, State.QUEUED) or cancelled:
        what = f"task {one.task}" + (" of a cancelled run" if cancelled else "")
        return IllegalMove(what, state, State.QUEUED)
    if one.attempt is not None and one.attempt != row.attempt:
        return MovedOn(one.task, one.attempt, row.attempt)
    return None


def _opening(one: Redrive) -> dict[str, Any]:
    return {
        "b_task": one.task,
        "b_token": new_token(),
        "b_now": one.now,
        "b_payload": None if one.edit is None else as_json(one.edit.payload),
    }


def _task_event(one: Redrive, old: AnyRow, queued: AnyRow) -> dict[str, Any]:
    how = "redriven"
    if one.edit is not None:
        how += (
            f" with its payload edited ({', '.join(str(s['path']) for s in one.edit.difference)})"
        )
    event = an_event(
        at=one.now,
        run=old.run,
        task=one.task,
        actor=one.actor,
        old=old.state,
        new=State.QUEUED.value,
        detail=f"attempt {queued.attempt}, {how}: {one.reason}",
    )
    facts: JsonObject = {"redrives": old.attempt}
    if one.job is not None:
        facts["job"] = one.job
    if one.edit is not None:
        facts["edit"] = list(one.edit.difference)
    return event | {"facts": facts}


def _run_event(run: AnyRow, asked: Redrive) -> dict[str, Any]:
    event = an_event(
        at=asked.now,
        run=run.run,
        task=None,
        actor=asked.actor,
        old=run.state,
        new=State.RUNNING.value,
        detail=f"opened again by a redrive: {asked.reason}",
    )
    return event | {"facts": None}


def _give_time(connection: Connection, runs: Sequence[AnyRow], now: datetime) -> None:
    """A run past its deadline gets as much time again: else the sweeper would end it at once."""
    late = [
        {"b_run": run.run, "b_deadline": now + (run.deadline - run.submitted)}
        for run in runs
        if run.deadline <= now
    ]
    if late:
        connection.execute(_give_run_time, late)
        connection.execute(_give_tasks_time, late)


def _still_failing(connection: Connection, runs: Sequence[str]) -> dict[str, str]:
    """What each run closes as for its other tasks that failed; not here when there are none."""
    states: defaultdict[str, set[State]] = defaultdict(set)
    for some in chunks(runs, IDS):
        for row in connection.execute(_failed, {"runs": some}):
            states[row.run].add(State(row.state))
    return {
        run: State.DENIED.value if found == {State.DENIED} else State.FAILED.value
        for run, found in states.items()
    }


def _wait_again(
    connection: Connection, runs: Sequence[str], actor: str, now: datetime
) -> defaultdict[str, int]:
    """Open what was cancelled because of a failure. Its counters have counted on meanwhile.

    Gives how many tasks of each run.
    """
    opened: defaultdict[str, int] = defaultdict(int)
    for some in chunks(runs, IDS):
        chosen = (_t.run.in_(some), _t.state == State.CANCELLED.value, _t.epoch == 0)
        counted = select(_t.run, func.count().label("tasks")).where(*chosen).group_by(_t.run)
        for row in connection.execute(counted):
            opened[row.run] = row.tasks
        connection.execute(
            insert(tables.event).from_select(
                ["at", "run", "task", "actor", "old", "new", "detail"],
                select(
                    literal(now, UtcTime),
                    _t.run,
                    _t.task,
                    literal(actor, key(120)),
                    _t.state,
                    literal(State.WAITING.value, key(12)),
                    literal("what it waits for was redriven"),
                )
                .where(*chosen)
                .order_by(_t.run, _t.stage, _t.partition),
            )
        )
        connection.execute(
            update(tables.task)
            .where(*chosen)
            .values(state=State.WAITING.value, was=_t.state, ended=null())
        )
    return opened
