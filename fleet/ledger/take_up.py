"""Taking up what was parked, once a worker that knows its kind is there.

A worker says with its heartbeat which kinds it knows. What was parked before it started is promised
again at once; what was parked since, perhaps by an older worker beside it that took the message
first, is promised again after a while, so that the two do not toss it back and forth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, and_, bindparam, false, func, or_, select

from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.redrive import Redrive, redrive_tasks
from fleet.ledger.rows import OutboxRow

ACTOR = "dispatcher"

AGAIN = timedelta(seconds=30)
"""How long what was parked beside a worker that knows it stays so."""

Known = dict[tuple[str, str, int], datetime]
"""Since when a live worker knows a lane's kind and version: the latest that started."""

_t, _a, _w = tables.task.c, tables.attempt.c, tables.worker.c

_sorts = (
    select(_t.lane, _t.kind, _t.version)
    .where(tables.OPEN, _t.state == State.PARKED.value)
    .distinct()
    .order_by(_t.lane, _t.kind, _t.version)
)

_alive = select(_w.lanes, _w.facts, _w.first_seen).where(_w.gone == false()).order_by(_w.worker)

_at = func.coalesce(_a.ended, _t.queued)

_parked = (
    select(_t.task, _t.attempt)
    .outerjoin(tables.attempt, and_(_a.task == _t.task, _a.epoch == _t.epoch))
    .where(
        tables.OPEN,
        _t.state == State.PARKED.value,
        _t.lane == bindparam("lane"),
        _t.kind == bindparam("kind"),
        _t.version == bindparam("version"),
        or_(_at < bindparam("started"), _at < bindparam("before")),
    )
    .order_by(_t.task)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUp:
    """Take up to `limit` parked tasks up."""

    now: datetime
    limit: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """How many tasks, and the rows to relay."""

    tasks: int
    outbox: tuple[OutboxRow, ...]


def any_parked(engine: Engine) -> bool:
    """Whether anything is parked whose kind a live worker knows. Writes nothing."""
    with engine.connect() as connection:
        return bool(_wanted(connection))


def take_up(connection: Connection, asked: Sequence[TakeUp]) -> Sequence[TakenUp | LedgerError]:
    """What each of these took up."""
    return [_take_up(connection, one) for one in asked]


def a_kind(kind: str, version: int) -> str:
    """How a worker's heartbeat names what it knows, in its facts' `kinds`."""
    return f"{kind}.v{version}"


def known_kinds(connection: Connection) -> dict[tuple[str, str], datetime]:
    """By lane and kind: when the latest of the live workers that know it was first seen."""
    since: dict[tuple[str, str], datetime] = {}
    for row in connection.execute(_alive):
        for lane in row.lanes:
            for kind in row.facts.get("kinds", ()):
                since[lane, kind] = max(row.first_seen, since.get((lane, kind), row.first_seen))
    return since


def _take_up(connection: Connection, asked: TakeUp) -> TakenUp:
    redrives: list[Redrive] = []
    for (lane, kind, version), started in _wanted(connection).items():
        rows = connection.execute(
            _parked,
            {
                "lane": lane,
                "kind": kind,
                "version": version,
                "started": started,
                "before": asked.now - AGAIN,
                "limit": asked.limit - len(redrives),
            },
        )
        redrives += [
            Redrive(
                task=row.task,
                actor=ACTOR,
                reason=f"a worker that knows {a_kind(kind, version)} is there",
                now=asked.now,
                attempt=row.attempt,
            )
            for row in rows
        ]
        if len(redrives) >= asked.limit:
            break
    taken = [
        answer
        for answer in redrive_tasks(connection, redrives)
        if not isinstance(answer, LedgerError)
    ]
    return TakenUp(tasks=len(taken), outbox=tuple(row for one in taken for row in one.outbox))


def _wanted(connection: Connection) -> Known:
    """The sorts of parked tasks that a live worker knows."""
    parked = connection.execute(_sorts).all()
    if not parked:
        return {}
    since = known_kinds(connection)
    return {
        (row.lane, row.kind, row.version): since[row.lane, a_kind(row.kind, row.version)]
        for row in parked
        if (row.lane, a_kind(row.kind, row.version)) in since
    }
