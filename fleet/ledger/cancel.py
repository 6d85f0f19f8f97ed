"""Cancelling runs and tasks: at once for what does not run, by asking for what does, or by force.

Asked, a worker is told when it next renews its lease, its handler a moment later, and what it makes
of it is recorded as cancelled. By force, the ledger ends the attempt itself: the epoch goes up, and
whatever the worker still records of it is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from contracts.fact import Fact, JsonObject
from contracts.outcome import Fault, FaultKind
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.advance import Closed, advance, hold
from fleet.ledger.allowances import settle
from fleet.ledger.errors import LedgerError, UnknownRow
from fleet.ledger.moves import an_event, append_events, cancel_tasks, new_token
from fleet.ledger.types import AnyRow

_IDLE = (State.WAITING, State.QUEUED, State.RETRYING, State.HELD, State.PARKED)


_FORCED = Fault(
    kind=FaultKind.CANCELLED,
    code="attempt.forced",
    message="cancelled by force: what its worker makes of it is refused",
).model_dump(mode="json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Who cancels which run, and why."""

    run: str
    actor: str
    reason: str
    now: datetime
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTask:
    """Who cancels which task, and why."""

    task: str
    actor: str
    reason: str
    now: datetime
    force: bool = False


class Cancelled(Fact):
    """What a cancellation came to."""

    run: str
    state: State
    """Of the run or of the task: `running` while something still has to stop."""
    running: int
    """Tasks that still have to stop."""


def cancel_runs(
    connection: Connection, asked: Sequence[Cancel]
) -> Sequence[Cancelled | LedgerError]:
    """What each cancellation came to."""
    return [_cancel(connection, one) for one in asked]


def cancel_each(
    connection: Connection, asked: Sequence[CancelTask]
) -> Sequence[Cancelled | LedgerError]:
    """What each task's cancellation came to. The run then starts nothing more, as after any task
    that did not succeed."""
    return [_cancel_task(connection, one) for one in asked]


def _cancel(connection: Connection, asked: Cancel) -> Cancelled | LedgerError:
    hold(connection, [asked.run])
    r = tables.run.c
    row = connection.execute(
        select(r.state, r.open_tasks, r.failing).where(r.run == asked.run)
    ).first()
    if row is None:
        return UnknownRow(f"there is no run {asked.run}; nothing was cancelled")
    state = State(row.state)
    if state in FINAL:
        return Cancelled(run=asked.run, state=state, running=0)
    if asked.force:
        _end_attempts(connection, tables.task.c.run == asked.run, asked.now)
    cancelled = cancel_tasks(
        connection,
        run=asked.run,
        states=(*_IDLE, State.RUNNING) if asked.force else _IDLE,
        now=asked.now,
        actor=asked.actor,
        detail=asked.reason,
    )
    if cancelled:
        t = tables.task.c
        gone = select(t.task).where(t.run == asked.run, t.state == State.CANCELLED.value)
        connection.execute(delete(tables.outbox).where(tables.outbox.c.task.in_(gone)))
    open_tasks = row.open_tasks - cancelled
    failing = row.failing or (State.CANCELLED.value if cancelled else None)
    if open_tasks == 0:
        state = State(failing or State.CANCELLED)
    connection.execute(
        update(tables.run)
        .where(r.run == asked.run)
        .values(
            cancel_requested=True,
            open_tasks=open_tasks,
            failing=failing,
            state=state.value,
            ended=asked.now if state in FINAL else None,
        )
    )
    if state in FINAL:
        settle(connection, [asked.run])
    append_events(
        connection,
        [
            an_event(
                at=asked.now,
                run=asked.run,
                task=None,
                actor=asked.actor,
                old=None if state is State.RUNNING else row.state,
                new=state.value,
                detail=f"cancellation asked for: {asked.reason}",
            )
            | {"facts": _facts("run.cancel", force=asked.force)}
        ],
    )
    return Cancelled(run=asked.run, state=state, running=open_tasks)


def _cancel_task(connection: Connection, asked: CancelTask) -> Cancelled | LedgerError:
    t = tables.task.c
    run = connection.execute(select(t.run).where(t.task == asked.task)).scalar()
    if run is None:
        return UnknownRow(f"there is no task {asked.task}; nothing was cancelled")
    hold(connection, [run])
    row = connection.execute(
        select(t.task, t.run, t.stage, t.partition, t.state).where(t.task == asked.task)
    ).one()
    state = State(row.state)
    if state in FINAL:
        return Cancelled(run=run, state=state, running=0)
    if state is State.RUNNING and not asked.force:
        connection.execute(
            update(tables.task).where(t.task == asked.task).values(cancel_requested=True)
        )
        append_events(connection, [_told(asked, row, old=None, new=state)])
        return Cancelled(run=run, state=state, running=1)
    if state is State.RUNNING:
        _end_attempts(connection, t.task == asked.task, asked.now)
    connection.execute(
        update(tables.task)
        .where(t.task == asked.task)
        .values(
            state=State.CANCELLED.value,
            was=t.state,
            token=new_token(),
            ended=asked.now,
            lease_until=None,
        )
    )
    connection.execute(delete(tables.outbox).where(tables.outbox.c.task == asked.task))
    append_events(connection, [_told(asked, row, old=state, new=State.CANCELLED)])
    closed = Closed(
        task=row.task,
        run=run,
        stage=row.stage,
        partition=row.partition,
        state=State.CANCELLED,
        actor=asked.actor,
    )
    advance(connection, [closed], [run], asked.now)
    return Cancelled(run=run, state=State.CANCELLED, running=0)


def _end_attempts(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    """End the running attempts of the tasks of `which`, and shut out who holds them."""
    t, a = tables.task.c, tables.attempt.c
    running = (which, t.state == State.RUNNING.value)
    theirs = select(t.task).where(t.task == a.task, t.epoch == a.epoch, *running).exists()
    connection.execute(
        update(tables.attempt)
        .where(theirs)
        .values(ended=now, state=State.CANCELLED.value, fault=_FORCED)
    )
    connection.execute(update(tables.task).where(*running).values(epoch=t.epoch + 1))


def _told(asked: CancelTask, row: AnyRow, *, old: State | None, new: State) -> dict[str, Any]:
    said = f"cancellation asked for: {asked.reason}" if old is None else asked.reason
    return an_event(
        at=asked.now,
        run=row.run,
        task=row.task,
        actor=asked.actor,
        old=None if old is None else old.value,
        new=new.value,
        detail=said,
    ) | {"facts": _facts("task.cancel", force=asked.force)}


def _facts(action: str, *, force: bool) -> JsonObject:
    return {"action": action, "force": True} if force else {"action": action}
