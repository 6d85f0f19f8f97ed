"""Approvals: asked for with the record that holds a task, voted on, counted, expired.

One is open for each holding of a task, and binds to the task's digest: only votes on that digest
count, on this attempt and on later ones. The first refusal denies the task; enough approvals put it
back on its queue as a new attempt, and the gate decides again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, insert, null, select, update

from contracts.approval import NEEDED
from contracts.decision import Gate
from contracts.outcome import Fault, FaultKind
from contracts.states import State
from fleet.ledger import held_runs, tables, votes
from fleet.ledger.advance import Closed, advance, hold
from fleet.ledger.errors import LedgerError, VoteRefused
from fleet.ledger.moves import an_event, append_events, new_token
from fleet.ledger.promise import PROMISED, a_promise, promise
from fleet.ledger.rows import Record
from fleet.ledger.runs import facts_of
from fleet.ledger.types import AnyRow
from fleet.ledger.votes import ApprovalRow, Vote, Voted

_p, _v, _t, _r = tables.approval.c, tables.vote.c, tables.task.c, tables.run.c

_late = (
    select(_p.task, _p.epoch)
    .where(tables.UNANSWERED, _p.expires < bindparam("now"))
    .order_by(_p.expires, _p.task)
    .limit(bindparam("limit"))
)


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
            "state": votes.OPEN,
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
        .where(_v.task == task, _p.digest == digest, _p.state == votes.APPROVED)
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
        .where(_p.state == votes.OPEN, _t.state == State.HELD.value, _t.epoch == _p.epoch)
        .order_by(_p.expires, _p.task)
        .limit(limit)
    ).all()
    tasks = [
        ApprovalRow(
            **row._asdict(),
            gate=Gate.EXECUTE,
            approved_by=votes.approved_by(connection, row.task, row.epoch),
        )
        for row in rows
    ]
    both = tasks + held_runs.waiting(connection, limit)
    return sorted(both, key=lambda row: (row.expires, row.task))[:limit]


def vote(connection: Connection, cast: Sequence[Vote]) -> Sequence[Voted | LedgerError]:
    """What each vote came to, or why it does not count."""
    return [_vote(connection, one) for one in cast]


def expire(connection: Connection, now: datetime, limit: int) -> int:
    """Deny what nobody answered in time. Gives how many tasks and runs."""
    late = connection.execute(_late, {"now": now, "limit": limit}).all()
    denied = held_runs.expire(connection, now, limit)
    for one in late:
        run = connection.execute(select(_t.run).where(_t.task == one.task)).scalar_one()
        hold(connection, [run])
        _close(connection, one.task, one.epoch, votes.EXPIRED)
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
        return held_runs.vote(connection, asked)
    hold(connection, [run])
    row = _held(connection, asked.task)
    if row is None or row.approval != votes.OPEN or row.expires < asked.now:
        return VoteRefused(asked.task, "it does not wait for approval")
    who = votes.cast(connection, asked, digest=row.digest, requester=row.requester, epoch=row.epoch)
    if isinstance(who, VoteRefused):
        return who
    by = votes.approved_by(connection, row.task, row.epoch)
    state = State.HELD
    if not asked.approves:
        _close(connection, row.task, row.epoch, votes.REFUSED)
        _deny(connection, row, who, code="approval.refused", said=asked.comment, now=asked.now)
        state = State.DENIED
    elif len(by) >= NEEDED:
        _close(connection, row.task, row.epoch, votes.APPROVED)
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
