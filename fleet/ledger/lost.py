"""A released task whose message is known to be gone: promised again at once, under another id.

The sweep finds such a task too, but only after the ten minutes in which a message may just be slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.moves import an_event, append_events, new_token
from fleet.ledger.promise import PROMISED, a_promise, promise, take_back
from fleet.ledger.rows import OutboxRow
from fleet.ledger.runs import facts_of

_t = tables.task.c

_again = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.epoch == bindparam("b_epoch"),
        _t.state == State.QUEUED.value,
    )
    .values(
        token=bindparam("b_token"),
        attempt=_t.attempt + 1,
        # The loss was not the task's fault.
        max_attempts=_t.max_attempts + 1,
        queued=bindparam("b_now"),
    )
)

_moved = select(*PROMISED, _t.token).where(_t.task == bindparam("task"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The message of a task that `worker` has released with this epoch."""

    task: str
    epoch: int
    worker: str
    now: datetime


def promise_anew(
    connection: Connection, lost: Sequence[Lost]
) -> Sequence[tuple[OutboxRow, ...] | LedgerError]:
    """The rows to relay; none for a task that somebody has taken up after all."""
    return [_promise_anew(connection, one) for one in lost]


def _promise_anew(connection: Connection, lost: Lost) -> tuple[OutboxRow, ...]:
    token = new_token()
    connection.execute(
        _again,
        {"b_task": lost.task, "b_epoch": lost.epoch, "b_token": token, "b_now": lost.now},
    )
    row = connection.execute(_moved, {"task": lost.task}).first()
    if row is None or row.token != token:
        return ()
    take_back(connection, [(row.task, row.attempt - 1)])
    event = an_event(
        at=lost.now,
        run=row.run,
        task=row.task,
        actor=lost.worker,
        old=None,
        new=State.QUEUED.value,
        detail=f"released without its message; attempt {row.attempt}",
    )
    append_events(connection, [event])
    facts = facts_of(connection, [row.run])
    return tuple(promise(connection, [a_promise(row)], facts, lost.now))
