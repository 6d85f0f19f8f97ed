"""The sweep: what nobody moves any more is moved on.

Six finds, each bounded and each guarded in its update, so that any number of processes may sweep
and a second sweep finds nothing left of the first:

- a lease that ran out: the attempt is over, another is promised, or the task is dead;
- a task past its deadline that no worker holds: dead (held: denied);
- an approval that nobody answered in time: the task is denied;
- a queued attempt whose message is lost: promised again, under a new attempt and message id;
- a worker that fell silent: gone;
- tasks that a fan-out made ready and that were too many for its transaction: promised.

A long queue is no sign of a loss, and promising its tasks again would only make it longer. So a
message counts as lost only when its lane has gone past it, stands idle with a worker at hand, or
when whoever sweeps saw that its queue holds nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, false, func, or_, select, update

from contracts.outcome import Fault, FaultKind
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.advance import Closed, advance, hold, queue_ready
from fleet.ledger.approvals import expire
from fleet.ledger.claim import LEASE_EXPIRED
from fleet.ledger.errors import LedgerError
from fleet.ledger.fingerprints import fingerprint_of
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
from fleet.ledger.promise import PROMISED, a_promise, promise, take_back
from fleet.ledger.rows import Swept
from fleet.ledger.runs import facts_of
from fleet.ledger.types import AnyRow

ACTOR = "sweeper"

_DEADLINE_PASSED = Fault(
    kind=FaultKind.TIMED_OUT,
    code="deadline.passed",
    message="the run's deadline passed before the task was taken up",
).model_dump(mode="json")

_t, _o, _a, _w = tables.task.c, tables.outbox.c, tables.attempt.c, tables.worker.c
_p = tables.put_off.c


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRules:
    """Limits of one sweep."""

    limit: int = 500
    """Tasks of each find in one sweep."""
    worker_silence: timedelta = timedelta(seconds=60)
    """After how long unseen a worker is gone."""
    lost_after: timedelta = timedelta(minutes=10)
    """How long a message is on its queue before it can count as lost."""
    recent_claims: int = 1000
    """How many of the latest claims tell how far each lane has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One sweep, at a time."""

    now: datetime
    rules: SweepRules = field(default_factory=SweepRules)
    empty: frozenset[str] = frozenset()
    """Lanes whose queues were seen to hold nothing."""


def sweep(connection: Connection, asked: Sequence[Sweep]) -> Sequence[Swept | LedgerError]:
    """What each sweep moved."""
    return [_sweep(connection, one) for one in asked]


def _sweep(connection: Connection, asked: Sweep) -> Swept:
    now, rules = asked.now, asked.rules
    requeued, dead = _expired_leases(connection, now, rules)
    expired = _past_deadlines(connection, now, rules)
    expired += expire(connection, now, rules.limit)
    gone = _silent_workers(connection, now, rules)
    return Swept(
        requeued=requeued,
        dead=dead,
        expired=expired,
        workers_gone=gone,
        promised_again=_lost_messages(connection, asked),
        queued=_left_ready(connection, now),
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """A found task, and what becomes of it."""

    row: AnyRow
    new: State
    fault: dict[str, Any] | None
    detail: str

    @property
    def promises(self) -> bool:
        return self.new not in FINAL


_FOUND = (
    *PROMISED,
    _t.state,
    _t.epoch,
    _t.max_attempts,
    _t.cancel_requested,
    tables.run.c.cancel_requested.label("run_cancelled"),
)

_expired = (
    select(*_FOUND)
    .join(tables.run, tables.run.c.run == _t.run)
    .where(tables.LEASED, _t.lease_until < bindparam("now"))
    .order_by(_t.lease_until, _t.task)
    .limit(bindparam("limit"))
)

# `running` is left to the worker, which minds the deadline, and to its lease.
_overdue = (
    select(*_FOUND)
    .join(tables.run, tables.run.c.run == _t.run)
    .where(tables.OPEN, _t.deadline < bindparam("now"), _t.state != State.RUNNING.value)
    .order_by(_t.deadline, _t.task)
    .limit(bindparam("limit"))
)

_move = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.epoch == bindparam("b_epoch"),
        _t.attempt == bindparam("b_attempt"),
        _t.state == bindparam("b_old"),
        # A lease may have been renewed since it was found.
        or_(_t.state != State.RUNNING.value, _t.lease_until < bindparam("b_now")),
    )
    .values(
        state=bindparam("b_new"),
        was=_t.state,
        token=bindparam("b_token"),
        attempt=_t.attempt + bindparam("b_more"),
        queued=bindparam("b_now"),
        lease_until=None,
        ended=bindparam("b_ended"),
        fault=bindparam("b_fault"),
        fingerprint=bindparam("b_fingerprint"),
    )
)

_moved = select(*PROMISED, _t.state, _t.token).where(
    _t.task.in_(bindparam("tasks", expanding=True))
)


def _expired_leases(connection: Connection, now: datetime, rules: SweepRules) -> tuple[int, int]:
    def verdict(row: AnyRow) -> _Move:
        if row.cancel_requested or row.run_cancelled:
            return _Move(row, State.CANCELLED, LEASE_EXPIRED, "its cancellation was asked for")
        if row.deadline < now:
            return _Move(row, State.DEAD, _DEADLINE_PASSED, "lease expired; deadline.passed")
        if row.attempt >= row.max_attempts:
            detail = f"lease expired; all {row.max_attempts} attempts are spent"
            return _Move(row, State.DEAD, LEASE_EXPIRED, detail)
        return _Move(row, State.QUEUED, None, f"lease expired; attempt {row.attempt + 1}")

    moved = _apply(
        connection,
        connection.execute(_expired, {"now": now, "limit": rules.limit}).all(),
        verdict,
        now,
    )
    dead = sum(not move.promises for move in moved)
    return len(moved) - dead, dead


def _past_deadlines(connection: Connection, now: datetime, rules: SweepRules) -> int:
    def verdict(row: AnyRow) -> _Move:
        # Nobody approved in time: that is a refusal, not a failure.
        new = State.DENIED if row.state == State.HELD else State.DEAD
        return _Move(row, new, _DEADLINE_PASSED, "deadline.passed")

    found = connection.execute(_overdue, {"now": now, "limit": rules.limit}).all()
    return len(_apply(connection, found, verdict, now))


def _apply(
    connection: Connection,
    found: Sequence[AnyRow],
    verdict: Callable[[AnyRow], _Move],
    now: datetime,
) -> list[_Move]:
    """Carry the verdicts out, with all that follows. Gives those that were still to be moved."""
    if not found:
        return []
    hold(connection, [row.run for row in found])
    token = new_token()
    asked = [verdict(row) for row in found]
    connection.execute(
        _move,
        [
            {
                "b_task": move.row.task,
                "b_epoch": move.row.epoch,
                "b_attempt": move.row.attempt,
                "b_old": move.row.state,
                "b_now": now,
                "b_new": move.new.value,
                "b_token": token,
                "b_more": 1 if move.promises else 0,
                "b_ended": None if move.promises else now,
                "b_fault": move.fault,
                "b_fingerprint": fingerprint_of(move.new, move.fault),
            }
            for move in asked
        ],
    )
    rows = {
        row.task: row
        for some in chunks([move.row.task for move in asked], IDS)
        for row in connection.execute(_moved, {"tasks": some})
        if row.token == token
    }
    moved = [move for move in asked if move.row.task in rows]
    _write_down(connection, moved, now)
    runs = {move.row.run for move in moved}
    ready, _ = advance(
        connection, [_closed(move) for move in moved if not move.promises], runs, now
    )
    again = [a_promise(rows[move.row.task]) for move in moved if move.promises]
    promise(connection, again + ready, facts_of(connection, runs), now)
    return moved


def _write_down(connection: Connection, moved: Sequence[_Move], now: datetime) -> None:
    take_back(connection, [(move.row.task, move.row.attempt) for move in moved])
    if leased := [move.row for move in moved if move.row.state == State.RUNNING]:
        connection.execute(
            close_attempts,
            [
                a_closing(
                    task=row.task,
                    epoch=row.epoch,
                    ended=now,
                    state=State.DEAD.value,
                    fault=LEASE_EXPIRED,
                )
                for row in leased
            ],
        )
    append_events(
        connection,
        [
            an_event(
                at=now,
                run=move.row.run,
                task=move.row.task,
                actor=ACTOR,
                old=move.row.state,
                new=move.new.value,
                detail=move.detail,
            )
            for move in moved
        ],
    )


def _closed(move: _Move) -> Closed:
    row = move.row
    return Closed(
        task=row.task,
        run=row.run,
        stage=row.stage,
        partition=row.partition,
        state=move.new,
        actor=ACTOR,
    )


_gone = (
    update(tables.worker)
    .where(_w.gone == false(), _w.last_seen < bindparam("b_before"))
    .values(gone=True)
)


def _silent_workers(connection: Connection, now: datetime, rules: SweepRules) -> int:
    return connection.execute(_gone, {"b_before": now - rules.worker_silence}).rowcount


_runs_left = select(_t.run).where(tables.READY).distinct().order_by(_t.run).limit(IDS)


def _left_ready(connection: Connection, now: datetime) -> int:
    runs = connection.execute(_runs_left).scalars().all()
    hold(connection, runs)
    ready = queue_ready(connection, runs, dict.fromkeys(runs, (ACTOR, None)), now)
    promise(connection, ready, facts_of(connection, runs), now)
    return len(ready)


# --- lost messages --------------------------------------------------------------------------------

_suspects = (
    select(*PROMISED, _t.state, _t.epoch, _t.queued)
    .outerjoin(tables.outbox, and_(_o.task == _t.task, _o.attempt == _t.attempt))
    .where(
        tables.OPEN,
        _t.state.in_([State.QUEUED.value, State.RETRYING.value]),
        _t.queued < bindparam("before"),
        # Relayed; or taken up once and released, and so without a promise of its own.
        or_(_o.seq.is_(None), _o.relayed < bindparam("before")),
        # What waits in the ledger, or on a queue that nobody takes from, is not lost.
        ~exists().where(_p.task == _t.task),
        nothing_paused(),
    )
    .order_by(_t.queued, _t.task)
    .limit(bindparam("limit"))
)

_latest = (
    select(_a.task, _a.started).order_by(_a.started.desc()).limit(bindparam("limit")).subquery()
)

_reached = (
    select(_t.lane, func.max(_t.queued).label("queued"), func.max(_latest.c.started).label("at"))
    .join(_latest, _latest.c.task == _t.task)
    .group_by(_t.lane)
)

_busy = select(_t.lane).where(tables.LEASED).distinct()

_again = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.attempt == bindparam("b_attempt"),
        _t.state == bindparam("b_old"),
        _t.epoch == bindparam("b_epoch"),
    )
    .values(
        token=bindparam("b_token"),
        attempt=_t.attempt + 1,
        # The loss was not the task's fault.
        max_attempts=_t.max_attempts + 1,
        queued=bindparam("b_now"),
    )
)


def _lost_messages(connection: Connection, asked: Sweep) -> int:
    now, rules = asked.now, asked.rules
    before = now - rules.lost_after
    suspects = connection.execute(_suspects, {"before": before, "limit": rules.limit}).all()
    if not suspects:
        return 0
    reached = {
        row.lane: (row.queued, row.at)
        for row in connection.execute(_reached, {"limit": rules.recent_claims})
    }
    idle = _idle_lanes(connection)
    lost = []
    for row in suspects:
        newest, at = reached.get(row.lane, (None, None))
        passed = newest is not None and row.queued < newest - rules.lost_after
        stands = row.lane in idle and (at is None or at < before)
        if passed or stands or row.lane in asked.empty:
            lost.append(row)
    if not lost:
        return 0
    token = new_token()
    connection.execute(
        _again,
        [
            {
                "b_task": row.task,
                "b_attempt": row.attempt,
                "b_old": row.state,
                "b_epoch": row.epoch,
                "b_token": token,
                "b_now": now,
            }
            for row in lost
        ],
    )
    rows = [
        row
        for some in chunks([row.task for row in lost], IDS)
        for row in connection.execute(_moved, {"tasks": some})
        if row.token == token
    ]
    _promise_again(connection, rows, now)
    return len(rows)


def _idle_lanes(connection: Connection) -> set[str]:
    """Lanes that a live worker serves and where nothing runs: their queues hold nothing."""
    served: set[str] = set()
    for (lanes,) in connection.execute(select(_w.lanes).where(_w.gone == false())):
        served.update(lanes)
    return served - {row.lane for row in connection.execute(_busy)}


def _promise_again(connection: Connection, rows: Sequence[AnyRow], now: datetime) -> None:
    take_back(connection, [(row.task, row.attempt - 1) for row in rows])
    append_events(
        connection,
        [
            an_event(
                at=now,
                run=row.run,
                task=row.task,
                actor=ACTOR,
                old=None,
                new=row.state,
                detail=f"the message was lost; attempt {row.attempt}",
            )
            for row in rows
        ],
    )
    facts = facts_of(connection, [row.run for row in rows])
    promise(connection, [a_promise(row) for row in rows], facts, now)
