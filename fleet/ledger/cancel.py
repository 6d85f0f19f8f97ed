"""Cancelling runs: at once for what does not run, by asking for what does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.advance import hold
from fleet.ledger.allowances import settle
from fleet.ledger.errors import LedgerError, UnknownRow
from fleet.ledger.moves import an_event, append_events, cancel_tasks

_IDLE = (State.WAITING, State.QUEUED, State.RETRYING, State.HELD, State.PARKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Who cancels which run, and why."""

    run: str
    actor: str
    reason: str
    now: datetime


def cancel_runs(connection: Connection, asked: Sequence[Cancel]) -> Sequence[State | LedgerError]:
    """The state of each run afterwards: `running` while one of its tasks still has to stop."""
    return [_cancel(connection, one) for one in asked]


def _cancel(connection: Connection, asked: Cancel) -> State | LedgerError:
    hold(connection, [asked.run])
    r = tables.run.c
    row = connection.execute(
        select(r.state, r.open_tasks, r.failing).where(r.run == asked.run)
    ).first()
    if row is None:
        return UnknownRow(f"there is no run {asked.run}; nothing was cancelled")
    state = State(row.state)
    if state in FINAL:
        return state
    cancelled = cancel_tasks(
        connection,
        run=asked.run,
        states=_IDLE,
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
            | {"facts": {"action": "run.cancel"}}
        ],
    )
    return state
