"""Redriving: an operator has another attempt made at a task that had ended badly or was parked.

The run opens again. What was cancelled because of the task waits again, unless another task of the
run still stands failed: then it would wait for ever, and the last redrive opens it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, literal, null, select, update

from contracts.states import FINAL, State, may_move
from fleet.ledger import tables
from fleet.ledger.advance import hold, queue_ready
from fleet.ledger.errors import IllegalMove, LedgerError, UnknownRow
from fleet.ledger.moves import an_event, append_events, new_token
from fleet.ledger.promise import PROMISED, a_promise, promise
from fleet.ledger.rows import Recorded
from fleet.ledger.runs import facts_of
from fleet.ledger.types import UtcTime, key

_REDRIVEN = frozenset({State.FAILED, State.DEAD, State.DENIED, State.PARKED})

_r, _t = tables.run.c, tables.task.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Who wants which task tried again, and why."""

    task: str
    actor: str
    reason: str
    now: datetime


def redrive_tasks(
    connection: Connection, asked: Sequence[Redrive]
) -> Sequence[Recorded | LedgerError]:
    """What each redrive promised, or why nothing of it was done."""
    return [_redrive(connection, one) for one in asked]


def _redrive(connection: Connection, asked: Redrive) -> Recorded | LedgerError:
    run = connection.execute(select(_t.run).where(_t.task == asked.task)).scalar()
    if run is None:
        return UnknownRow(f"there is no task {asked.task}; nothing was redriven")
    hold(connection, [run])
    task = connection.execute(select(_t.state).where(_t.task == asked.task)).one()
    row = connection.execute(
        select(
            _r.state, _r.failing, _r.open_tasks, _r.cancel_requested, _r.submitted, _r.deadline
        ).where(_r.run == run)
    ).one()
    old = State(task.state)
    if old not in _REDRIVEN or not may_move(old, State.QUEUED) or row.cancel_requested:
        what = f"task {asked.task}" + (" of a cancelled run" if row.cancel_requested else "")
        return IllegalMove(what, old, State.QUEUED)
    connection.execute(
        update(tables.task)
        .where(_t.task == asked.task)
        .values(
            state=State.QUEUED.value,
            was=_t.state,
            token=new_token(),
            attempt=_t.attempt + 1,
            # An operator's attempt is one more than the lane allows, not one of them.
            max_attempts=_t.max_attempts + 1,
            queued=asked.now,
            ended=null(),
            fault=null(),
        )
    )
    if row.deadline <= asked.now:
        _give_time(connection, run, asked.now + (row.deadline - row.submitted))
    queued = connection.execute(select(*PROMISED).where(_t.task == asked.task)).one()
    opened = 1 if old in FINAL else 0
    events = [
        an_event(
            at=asked.now,
            run=run,
            task=asked.task,
            actor=asked.actor,
            old=old.value,
            new=State.QUEUED.value,
            detail=f"attempt {queued.attempt}, redriven: {asked.reason}",
        )
    ]
    if row.state != State.RUNNING:
        events.append(
            an_event(
                at=asked.now,
                run=run,
                task=None,
                actor=asked.actor,
                old=row.state,
                new=State.RUNNING.value,
                detail=f"opened again by a redrive: {asked.reason}",
            )
        )
    append_events(connection, events)
    failing = _still_failing(connection, run)
    if failing is None and row.failing is not None:
        opened += _wait_again(connection, run, asked)
    connection.execute(
        update(tables.run)
        .where(_r.run == run)
        .values(
            state=State.RUNNING.value,
            failing=failing,
            ended=null(),
            open_tasks=row.open_tasks + opened,
        )
    )
    facts = facts_of(connection, [run])
    promises = [a_promise(queued)]
    if failing is None:
        promises += queue_ready(connection, [run], {run: (asked.actor, None)}, asked.now)
    return Recorded(
        outbox=tuple(promise(connection, promises, facts, asked.now)), run_state=State.RUNNING
    )


def _give_time(connection: Connection, run: str, deadline: datetime) -> None:
    """A run past its deadline gets as much time again: else the sweeper would end it at once."""
    connection.execute(update(tables.run).where(_r.run == run).values(deadline=deadline))
    connection.execute(
        update(tables.task)
        .where(_t.run == run, _t.state != State.SUCCEEDED.value)
        .values(deadline=deadline)
    )


def _still_failing(connection: Connection, run: str) -> str | None:
    """What the run closes as for its other tasks that failed; None when there are none."""
    counts = {
        State(row.state): row.tasks
        for row in connection.execute(
            select(_t.state, func.count().label("tasks"))
            .where(
                _t.run == run,
                _t.state.in_([State.FAILED.value, State.DEAD.value, State.DENIED.value]),
            )
            .group_by(_t.state)
        )
    }
    if not counts:
        return None
    return State.DENIED.value if counts.keys() == {State.DENIED} else State.FAILED.value


def _wait_again(connection: Connection, run: str, asked: Redrive) -> int:
    """Open what was cancelled because of a failure. Its counters have counted on meanwhile."""
    chosen = (_t.run == run, _t.state == State.CANCELLED.value, _t.epoch == 0)
    connection.execute(
        insert(tables.event).from_select(
            ["at", "run", "task", "actor", "old", "new", "detail"],
            select(
                literal(asked.now, UtcTime),
                _t.run,
                _t.task,
                literal(asked.actor, key(120)),
                _t.state,
                literal(State.WAITING.value, key(12)),
                literal("what it waits for was redriven"),
            )
            .where(*chosen)
            .order_by(_t.stage, _t.partition),
        )
    )
    moved = connection.execute(
        update(tables.task)
        .where(*chosen)
        .values(state=State.WAITING.value, was=_t.state, ended=null())
    )
    return moved.rowcount
