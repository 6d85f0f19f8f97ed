"""Claims and renewals: who may run an attempt, and for how long.

The guard stands in the update itself, so that of any number of claims one wins on every database;
a select before it would let two through. The row then tells by its token whose claim won.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update

from contracts.outcome import FaultKind
from contracts.states import CLAIMABLE, FINAL, State
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.many import execute_many
from fleet.ledger.moves import (
    IDS,
    a_closing,
    an_event,
    append_events,
    chunks,
    close_attempts,
    new_token,
)
from fleet.ledger.pauses import nothing_paused
from fleet.ledger.promise import take_back
from fleet.ledger.put_off import put_off
from fleet.ledger.rows import Claim, Claimed, NotClaimed, WhyNot
from fleet.ledger.slots import grant, hold_slots
from fleet.ledger.types import AnyRow, UtcTime, key

LEASE_EXPIRED = {
    "kind": FaultKind.TIMED_OUT.value,
    "code": "lease.expired",
    "message": "the worker fell silent and its lease ran out",
    "facts": {},
}

_t, _o = tables.task.c, tables.outbox.c

_brought = bindparam("b_digest", type_=key(64))

# Of the promise while it stands; then of the one that was taken up. One look by a unique key.
_promised = func.coalesce(
    select(_o.digest)
    .where(_o.task == _t.task, _o.attempt == _t.attempt)
    .correlate(tables.task)
    .scalar_subquery(),
    _t.promised,
    "",
)

_take = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.attempt == bindparam("b_attempt"),
        or_(
            _t.state == State.QUEUED.value,
            _t.state == State.RETRYING.value,
            and_(_t.state == State.RUNNING.value, _t.lease_until < bindparam("b_now")),
        ),
        or_(_brought == "", _promised.in_(["", _brought])),
        nothing_paused(),
    )
    .values(
        promised=_promised,
        state=State.RUNNING.value,
        was=_t.state,
        epoch=_t.epoch + 1,
        token=bindparam("b_token"),
        worker=bindparam("b_worker"),
        lease_until=bindparam("b_lease_until"),
        started=func.coalesce(_t.started, bindparam("b_now", type_=UtcTime)),
    )
)

_taken = (
    select(
        _t.task,
        _t.run,
        _t.state,
        _t.was,
        _t.attempt,
        _t.epoch,
        _t.max_attempts,
        _t.token,
        _t.worker,
        _t.cancel_requested,
        _promised.label("promised"),
        tables.run.c.cancel_requested.label("run_cancelled"),
    )
    .join(tables.run, tables.run.c.run == _t.run)
    .where(_t.task.in_(bindparam("tasks", expanding=True)))
)

_begin = insert(tables.attempt)

_extend = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.epoch == bindparam("b_epoch"),
        _t.state == State.RUNNING.value,
    )
    .values(lease_until=bindparam("b_lease_until"))
)

_holding = (
    select(
        _t.task,
        _t.epoch,
        _t.cancel_requested,
        tables.run.c.cancel_requested.label("run_cancelled"),
    )
    .join(tables.run, tables.run.c.run == _t.run)
    .where(_t.task.in_(bindparam("tasks", expanding=True)), _t.state == State.RUNNING.value)
)


def claim(
    connection: Connection, claims: Sequence[Claim]
) -> Sequence[Claimed | NotClaimed | LedgerError]:
    """Each claim's answer. Of several claims of one attempt, the first wins.

    What may not run yet, for want of a slot or for a pause, is put off.
    """
    tokens = [new_token() for _ in claims]
    refused = grant(connection, claims).refused
    taking = [
        (asked, token)
        for place, (asked, token) in enumerate(zip(claims, tokens, strict=True))
        if place not in refused
    ]
    if taking:
        _take_all(connection, taking)
    rows = {
        row.task: row
        for some in chunks([asked.task for asked in claims], IDS)
        for row in connection.execute(_taken, {"tasks": some}).all()
    }
    won = [
        (asked, row)
        for asked, token in zip(claims, tokens, strict=True)
        if (row := rows.get(asked.task)) is not None and row.token == token
    ]
    _write_down(connection, won)
    waiting = _put_off(connection, claims, rows, refused)
    return [
        waiting.get(place) or _answer(asked, token, rows.get(asked.task))
        for place, (asked, token) in enumerate(zip(claims, tokens, strict=True))
    ]


def _take_all(connection: Connection, taking: Sequence[tuple[Claim, str]]) -> None:
    execute_many(
        connection,
        _take,
        [
            {
                "b_task": asked.task,
                "b_attempt": asked.attempt,
                "b_now": asked.now,
                "b_token": token,
                "b_worker": asked.worker,
                "b_lease_until": asked.lease_until,
                "b_digest": asked.digest,
            }
            for asked, token in taking
        ],
    )


def _put_off(
    connection: Connection,
    claims: Sequence[Claim],
    rows: dict[str, AnyRow],
    refused: dict[int, str],
) -> dict[int, NotClaimed]:
    """Answers, by position, to the claims whose task is open and may not run yet.

    What a claim could have taken and did not was refused its slot, or is paused.
    """
    open_ = [
        (place, asked)
        for place, asked in enumerate(claims)
        if (row := rows.get(asked.task)) is not None
        and row.attempt == asked.attempt
        and row.state in CLAIMABLE
        and not _altered(asked, row)
    ]
    if not open_:
        return {}
    keys = put_off(connection, [(asked, refused.get(place)) for place, asked in open_])
    return {
        place: NotClaimed(
            task=asked.task,
            why="put_off" if place in refused else "paused",
            state=State(rows[asked.task].state),
            holder=key,
        )
        for (place, asked), key in zip(open_, keys, strict=True)
        if key is not None
    }


def _write_down(connection: Connection, won: Sequence[tuple[Claim, AnyRow]]) -> None:
    """An attempt and an event for each; the attempt that a takeover ends is closed."""
    if not won:
        return
    if taken_over := [(asked, row) for asked, row in won if row.was == State.RUNNING]:
        execute_many(
            connection,
            close_attempts,
            [
                a_closing(
                    task=row.task,
                    epoch=row.epoch - 1,
                    ended=asked.now,
                    state=State.QUEUED.value,
                    fault=LEASE_EXPIRED,
                )
                for asked, row in taken_over
            ],
        )
    execute_many(
        connection,
        _begin,
        [
            {
                "task": row.task,
                "epoch": row.epoch,
                "number": row.attempt,
                "worker": asked.worker,
                "state": State.RUNNING.value,
                "started": asked.now,
            }
            for asked, row in won
        ],
    )
    take_back(connection, [(row.task, row.attempt) for _, row in won])
    hold_slots(connection, won)
    append_events(connection, [event for asked, row in won for event in _events(asked, row)])


def _events(asked: Claim, row: AnyRow) -> Iterable[dict[str, Any]]:
    """The move to `running`; for a takeover, first the move out of it."""
    moves = [(row.was, State.RUNNING.value, f"attempt {row.attempt}")]
    if row.was == State.RUNNING:
        moves = [
            (State.RUNNING.value, State.QUEUED.value, "lease expired"),
            (State.QUEUED.value, State.RUNNING.value, f"attempt {row.attempt}, taken over"),
        ]
    for old, new, detail in moves:
        yield an_event(
            at=asked.now,
            run=row.run,
            task=row.task,
            actor=asked.worker,
            old=old,
            new=new,
            detail=detail,
        )


def _answer(asked: Claim, token: str, row: AnyRow | None) -> Claimed | NotClaimed:
    if row is None:
        return NotClaimed(task=asked.task, why="unknown")
    if row.token == token:
        return Claimed(
            task=row.task,
            run=row.run,
            attempt=row.attempt,
            epoch=row.epoch,
            max_attempts=row.max_attempts,
            cancel_requested=row.cancel_requested or row.run_cancelled,
        )
    state = State(row.state)
    leased = state is State.RUNNING and row.attempt == asked.attempt
    return NotClaimed(
        task=asked.task,
        why=_why_not(asked, row, state),
        state=state,
        holder=row.worker if leased else None,
    )


def _why_not(asked: Claim, row: AnyRow, state: State) -> WhyNot:
    if state is State.CANCELLED:
        return "cancelled"
    if state in FINAL:
        return "closed"
    if row.attempt != asked.attempt:
        return "superseded"
    if _altered(asked, row):
        return "altered"
    return "leased" if state is State.RUNNING else "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """Leases that one worker extends together, as (task, epoch)."""

    leases: tuple[tuple[str, int], ...]
    lease_until: datetime
    now: datetime


def renew(
    connection: Connection, renewals: Sequence[Renewal]
) -> Sequence[frozenset[str] | LedgerError]:
    """For each renewal the tasks that must stop: lost, or their cancellation was asked for.

    A lease that has run out but that nobody took is extended: the worker was only late.
    """
    asked = [(lease, renewal) for renewal in renewals for lease in renewal.leases]
    if not asked:
        return [frozenset() for _ in renewals]
    execute_many(
        connection,
        _extend,
        [
            {"b_task": task, "b_epoch": epoch, "b_lease_until": renewal.lease_until}
            for (task, epoch), renewal in asked
        ],
    )
    held = {
        (row.task, row.epoch)
        for some in chunks([task for (task, _), _ in asked], IDS)
        for row in connection.execute(_holding, {"tasks": some})
        if not (row.cancel_requested or row.run_cancelled)
    }
    return [
        frozenset(task for task, epoch in renewal.leases if (task, epoch) not in held)
        for renewal in renewals
    ]


def _altered(asked: Claim, row: AnyRow) -> bool:
    """Whether the envelope is another than the one that was promised."""
    return bool(asked.digest) and row.promised not in {"", asked.digest}
