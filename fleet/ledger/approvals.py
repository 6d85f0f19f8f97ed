"""Approvals: asked for with the record that holds a task, voted on, counted, expired.

One is open for each holding of a task, and binds to the task's digest: only votes on that digest
count, on this attempt and on later ones. The first refusal denies the task; enough approvals put it
back on its queue as a new attempt, and the gate decides again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection, Engine, and_, insert, null, select, update

from contracts.approval import NEEDED, others, person
from contracts.fact import Fact
from contracts.outcome import Fault, FaultKind
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.advance import Closed, advance, hold
from fleet.ledger.errors import LedgerError, UnknownRow, VoteRefused
from fleet.ledger.moves import an_event, append_events, new_token
from fleet.ledger.promise import PROMISED, a_promise, promise
from fleet.ledger.rows import Record
from fleet.ledger.runs import facts_of
from fleet.ledger.types import AnyRow

_p, _v, _t, _r = tables.approval.c, tables.vote.c, tables.task.c, tables.run.c
_OPEN, _APPROVED, _REFUSED, _EXPIRED = "open", "approved", "refused", "expired"


class ApprovalRow(Fact):
    """A held task that waits for people."""

    task: str
    run: str
    stage: str
    partition: str
    kind: str
    lane: str
    tenant: str
    pipeline: str
    requester: str
    digest: str
    """Of what is approved."""
    reasons: str
    asked: AwareDatetime
    expires: AwareDatetime
    approved_by: tuple[str, ...]
    needed: int = NEEDED


class Voted(Fact):
    """What a vote came to."""

    task: str
    run: str
    state: State
    """Of the task now: `held` while more approvals are needed."""
    approved_by: tuple[str, ...]
    needed: int = NEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's word on what `digest` names. `comment` says why."""

    task: str
    digest: str
    person: str
    approves: bool
    comment: str
    now: datetime


def ask(connection: Connection, won: Sequence[tuple[Record, AnyRow]]) -> None:
    """Open an approval for each record that asks for one."""
    rows = [
        {
            "task": row.task,
            "epoch": row.epoch,
            "digest": one.asks.digest,
            "reasons": one.asks.reasons,
            "asked": one.now,
            "expires": min(one.asks.expires, row.deadline),
            "state": _OPEN,
        }
        for one, row in won
        if one.asks is not None and one.state is State.HELD
    ]
    if rows:
        connection.execute(insert(tables.approval), rows)


def approvers(engine: Engine, task: str, digest: str) -> tuple[str, ...]:
    """Who approved this digest of the task, in an approval that was granted; sorted."""
    query = (
        select(_v.person)
        .join(tables.approval, and_(_p.task == _v.task, _p.epoch == _v.epoch))
        .where(_v.task == task, _p.digest == digest, _p.state == _APPROVED)
        .distinct()
        .order_by(_v.person)
    )
    with engine.connect() as connection:
        return tuple(connection.execute(query).scalars())


def waiting(connection: Connection, limit: int) -> list[ApprovalRow]:
    """The queue of approvals: what expires first comes first."""
    rows = connection.execute(
        select(*_SHOWN)
        .join(tables.task, _t.task == _p.task)
        .join(tables.run, _r.run == _t.run)
        .where(_p.state == _OPEN, _t.state == State.HELD.value, _t.epoch == _p.epoch)
        .order_by(_p.expires, _p.task)
        .limit(limit)
    ).all()
    return [
        ApprovalRow(**row._asdict(), approved_by=_approved_by(connection, row.task, row.epoch))
        for row in rows
    ]


def vote(connection: Connection, votes: Sequence[Vote]) -> Sequence[Voted | LedgerError]:
    """What each vote came to, or why it does not count."""
    return [_vote(connection, one) for one in votes]


def expire(connection: Connection, now: datetime, limit: int) -> int:
    """Deny what nobody answered in time. Gives how many tasks."""
    late = connection.execute(
        select(_p.task, _p.epoch)
        .where(_p.state == _OPEN, _p.expires < now)
        .order_by(_p.expires, _p.task)
        .limit(limit)
    ).all()
    denied = 0
    for one in late:
        run = connection.execute(select(_t.run).where(_t.task == one.task)).scalar_one()
        hold(connection, [run])
        _close(connection, one.task, one.epoch, _EXPIRED)
        # One whose task went another way (cancelled, redriven) is closed, and nothing else.
        row = _held(connection, one.task)
        if row is not None and row.epoch == one.epoch:
            _deny(
                connection,
                row,
                "sweeper",
                code="approval.expired",
                said="nobody answered in time",
                now=now,
            )
            denied += 1
    return denied


_SHOWN = (
    _p.task,
    _p.epoch,
    _t.run,
    _t.stage,
    _t.partition,
    _t.kind,
    _t.lane,
    _r.tenant,
    _r.pipeline,
    _r.requester,
    _p.digest,
    _p.reasons,
    _p.asked,
    _p.expires,
)


def _vote(connection: Connection, asked: Vote) -> Voted | LedgerError:
    run = connection.execute(select(_t.run).where(_t.task == asked.task)).scalar()
    if run is None:
        return UnknownRow(f"there is no task {asked.task}; nothing was approved or refused")
    hold(connection, [run])
    row = _held(connection, asked.task)
    if row is None or row.approval != _OPEN or row.expires < asked.now:
        return VoteRefused(asked.task, "it does not wait for approval")
    if row.digest != asked.digest:
        return VoteRefused(asked.task, "it is not what it was: look at it again")
    who = person(asked.person)
    if not others([who], row.requester):
        return VoteRefused(asked.task, "who asked for it cannot approve or refuse it")
    if who in _voters(connection, row.task, row.epoch):
        return VoteRefused(asked.task, f"{who} has said so already")
    connection.execute(
        insert(tables.vote),
        {
            "task": row.task,
            "epoch": row.epoch,
            "person": who,
            "approves": asked.approves,
            "comment": asked.comment,
            "at": asked.now,
        },
    )
    by = _approved_by(connection, row.task, row.epoch)
    state = State.HELD
    if not asked.approves:
        _close(connection, row.task, row.epoch, _REFUSED)
        _deny(connection, row, who, code="approval.refused", said=asked.comment, now=asked.now)
        state = State.DENIED
    elif len(by) >= NEEDED:
        _close(connection, row.task, row.epoch, _APPROVED)
        _queue(connection, row, who, asked)
        state = State.QUEUED
    else:
        said = f"approved by {len(by)} of {NEEDED}: {asked.comment}"
        append_events(
            connection, [_event(row, who, asked.now, old=None, new=State.HELD, detail=said)]
        )
    return Voted(task=row.task, run=run, state=state, approved_by=by)


def _held(connection: Connection, task: str) -> AnyRow | None:
    """The task with the approval of its holding, while it is held."""
    return connection.execute(
        select(
            *PROMISED,
            _t.epoch,
            _p.digest,
            _p.expires,
            _p.state.label("approval"),
            _r.requester,
        )
        .join(tables.approval, and_(_p.task == _t.task, _p.epoch == _t.epoch))
        .join(tables.run, _r.run == _t.run)
        .where(_t.task == task, _t.state == State.HELD.value)
    ).first()


def _close(connection: Connection, task: str, epoch: int, state: str) -> None:
    where = (_p.task == task, _p.epoch == epoch)
    connection.execute(update(tables.approval).where(*where).values(state=state))


def _queue(connection: Connection, row: AnyRow, who: str, asked: Vote) -> None:
    connection.execute(
        update(tables.task)
        .where(_t.task == row.task)
        .values(
            state=State.QUEUED.value,
            was=_t.state,
            token=new_token(),
            attempt=_t.attempt + 1,
            # Waiting for people was not an attempt.
            max_attempts=_t.max_attempts + 1,
            queued=asked.now,
            fault=null(),
        )
    )
    queued = connection.execute(select(*PROMISED).where(_t.task == row.task)).one()
    said = f"approved by {NEEDED} of {NEEDED}: {asked.comment}"
    append_events(
        connection, [_event(row, who, asked.now, old=State.HELD, new=State.QUEUED, detail=said)]
    )
    promise(connection, [a_promise(queued)], facts_of(connection, [row.run]), asked.now)


def _deny(
    connection: Connection, row: AnyRow, who: str, *, code: str, said: str, now: datetime
) -> None:
    fault = Fault(kind=FaultKind.DENIED, code=code, message=said)
    connection.execute(
        update(tables.task)
        .where(_t.task == row.task)
        .values(
            state=State.DENIED.value,
            was=_t.state,
            token=new_token(),
            ended=now,
            fault=fault.model_dump(mode="json"),
        )
    )
    detail = f"{code}: {said}"
    append_events(
        connection, [_event(row, who, now, old=State.HELD, new=State.DENIED, detail=detail)]
    )
    closed = Closed(
        task=row.task,
        run=row.run,
        stage=row.stage,
        partition=row.partition,
        state=State.DENIED,
        actor=who,
    )
    ready, _ = advance(connection, [closed], [row.run], now)
    promise(connection, ready, facts_of(connection, [row.run]), now)


def _event(
    row: AnyRow, who: str, at: datetime, *, old: State | None, new: State, detail: str
) -> dict[str, Any]:
    return an_event(
        at=at,
        run=row.run,
        task=row.task,
        actor=who,
        old=None if old is None else old.value,
        new=new.value,
        detail=detail,
    )


def _voters(connection: Connection, task: str, epoch: int) -> set[str]:
    query = select(_v.person).where(_v.task == task, _v.epoch == epoch)
    return set(connection.execute(query).scalars())


def _approved_by(connection: Connection, task: str, epoch: int) -> tuple[str, ...]:
    query = (
        select(_v.person).where(_v.task == task, _v.epoch == epoch, _v.approves).order_by(_v.person)
    )
    return tuple(connection.execute(query).scalars())
