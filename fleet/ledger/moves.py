"""What every move leaves: an event, and the token of who moved.

Events are appended in the transaction of the move and never changed.
"""

import itertools
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, insert, literal, null, select, update

from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.many import execute_many
from fleet.ledger.types import UtcTime, key

T = TypeVar("T")

CHUNK = 5000
"""Rows of one bulk insert or update: bounds memory, not correctness."""

IDS = 500
"""Ids of one IN list: SQL Server takes 2,100 parameters in a statement."""

_process = uuid.uuid4().hex
_numbers = itertools.count()

_append = insert(tables.event)


def new_token() -> str:
    """Names one operation among all processes' operations, so that a row tells who moved it."""
    return f"{_process}-{next(_numbers)}"


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterable[Sequence[T]]:
    """`items` in slices of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def an_event(
    *,
    at: datetime,
    run: str,
    task: str | None,
    actor: str,
    old: str | None,
    new: str,
    detail: str = "",
) -> dict[str, Any]:
    """One row for `append_events`."""
    return {
        "at": at,
        "run": run,
        "task": task,
        "actor": actor,
        "old": old,
        "new": new,
        "detail": detail,
    }


def append_events(connection: Connection, events: Sequence[dict[str, Any]]) -> None:
    """Append in the given order."""
    for chunk in chunks(events):
        execute_many(connection, _append, chunk)


def cancel_tasks(
    connection: Connection,
    *,
    run: str,
    states: Iterable[State],
    now: datetime,
    actor: str,
    detail: str,
) -> int:
    """Cancel the tasks of a run that are in `states`, by two statements however many they are."""
    chosen = (tables.task.c.run == run, tables.task.c.state.in_([*states]))
    columns = ["at", "run", "task", "actor", "old", "new", "detail"]
    connection.execute(
        insert(tables.event).from_select(
            columns,
            select(
                literal(now, UtcTime),
                tables.task.c.run,
                tables.task.c.task,
                literal(actor, key(120)),
                tables.task.c.state,
                literal(State.CANCELLED.value, key(12)),
                literal(detail),
            )
            .where(*chosen)
            .order_by(tables.task.c.stage, tables.task.c.partition),
        )
    )
    moved = connection.execute(
        update(tables.task)
        .where(*chosen)
        .values(
            state=State.CANCELLED,
            was=tables.task.c.state,
            ended=now,
            lease_until=null(),
        )
    )
    return moved.rowcount


close_attempts = (
    update(tables.attempt)
    .where(
        tables.attempt.c.task == bindparam("b_task"), tables.attempt.c.epoch == bindparam("b_epoch")
    )
    .values(
        ended=bindparam("b_ended"),
        state=bindparam("b_state"),
        fault=bindparam("b_fault"),
        facts=bindparam("b_facts"),
        traceparent=bindparam("b_traceparent"),
        reused_from=bindparam("b_reused_from"),
    )
)
"""For many attempts at once, by `a_closing`."""


def a_closing(
    *,
    task: str,
    epoch: int,
    ended: datetime,
    state: str,
    fault: Any,
    facts: Any = None,
    traceparent: str | None = None,
    reused_from: str | None = None,
) -> dict[str, Any]:
    """One row for `close_attempts`."""
    return {
        "b_task": task,
        "b_epoch": epoch,
        "b_ended": ended,
        "b_state": state,
        "b_fault": fault,
        "b_facts": facts,
        "b_traceparent": traceparent,
        "b_reused_from": reused_from,
    }
