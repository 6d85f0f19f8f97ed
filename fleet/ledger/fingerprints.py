"""Which fault a task stands with, as a fingerprint; and those that older writers left out.

A task has one while it stands as a dead letter: as long as a redrive can open it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, null, select, update

from contracts.fingerprint import fingerprint
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError

OPENED_AGAIN = frozenset({State.FAILED, State.DEAD, State.DENIED, State.PARKED})
"""What a redrive opens."""

_t, _d = tables.task.c, tables.dead_letter.c

_tasks_without = (
    select(_t.task, _t.fault)
    .where(tables.DEAD, _t.fingerprint.is_(null()))
    .order_by(_t.stage, _t.task)
    .limit(bindparam("limit"))
)

_fill_task = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"), tables.DEAD, _t.fingerprint.is_(null()))
    .values(fingerprint=bindparam("b_fingerprint"))
)

_messages_without = (
    select(_d.queue, _d.message_id, _d.sequence_number, _d.reason, _d.description)
    .where(_d.fingerprint.is_(null()))
    .order_by(_d.queue, _d.message_id, _d.sequence_number)
    .limit(bindparam("limit"))
)

_fill_message = (
    update(tables.dead_letter)
    .where(
        _d.queue == bindparam("b_queue"),
        _d.message_id == bindparam("b_message_id"),
        _d.sequence_number == bindparam("b_sequence_number"),
    )
    .values(fingerprint=bindparam("b_fingerprint"))
)


def fingerprint_of(state: State, fault: Mapping[str, Any] | None) -> str | None:
    """Of a task that comes to stand in `state` with `fault`, as stored; None where it does not."""
    if state not in OPENED_AGAIN:
        return None
    if fault is None:
        return fingerprint("unknown", "")
    return fingerprint(str(fault["code"]), str(fault["message"]))


def any_without(engine: Engine) -> bool:
    """Whether there is anything to fill in. Writes nothing."""
    with engine.connect() as connection:
        return any(
            connection.execute(query, {"limit": 1}).first() is not None
            for query in (_tasks_without, _messages_without)
        )


def fill_each(connection: Connection, limits: Sequence[int]) -> Sequence[int | LedgerError]:
    """`fill` for each of these limits."""
    return [fill(connection, limit) for limit in limits]


def fill(connection: Connection, limit: int) -> int:
    """Give up to `limit` tasks and messages the fingerprint that an older writer left out.

    Gives how many there were; while it is `limit`, there may be more.
    """
    tasks = [
        {"b_task": row.task, "b_fingerprint": fingerprint_of(State.FAILED, row.fault)}
        for row in connection.execute(_tasks_without, {"limit": limit})
    ]
    if tasks:
        connection.execute(_fill_task, tasks)
    messages = [
        {
            "b_queue": row.queue,
            "b_message_id": row.message_id,
            "b_sequence_number": row.sequence_number,
            "b_fingerprint": fingerprint(row.reason, row.description),
        }
        for row in connection.execute(_messages_without, {"limit": limit - len(tasks)})
    ]
    if messages:
        connection.execute(_fill_message, messages)
    return len(tasks) + len(messages)
