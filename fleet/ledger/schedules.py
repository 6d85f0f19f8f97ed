"""Schedules as rows: what is due, what was fired, who changed what.

Any number of dispatchers look at the same rows. A scheduled time is one run whoever fires it: the
request's key names the schedule and the time. The row moves on under a guard, from the time that
was due to the next one, and each time is noted once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime
from sqlalchemy import (
    Connection,
    Engine,
    and_,
    bindparam,
    delete,
    false,
    insert,
    select,
    update,
)

from contracts.fact import Fact
from contracts.schedule import Schedule
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError, UnknownRow
from fleet.ledger.pauses import note
from fleet.ledger.types import AnyRow

Outcome = Literal["started", "triggered", "skipped", "refused"]
Action = Literal["pause", "resume", "remove"]

_s, _f, _r = tables.schedule.c, tables.fire.c, tables.run.c

_move = (
    update(tables.schedule)
    .where(
        _s.name == bindparam("b_name"),
        _s.revision == bindparam("b_revision"),
        _s.next_fire == bindparam("b_due"),
    )
    .values(next_fire=bindparam("b_next"))
)

_fired = select(_f.at).where(_f.schedule == bindparam("schedule"), _f.at == bindparam("at"))


class ScheduleRow(Fact):
    """A schedule as it stands."""

    schedule: Schedule
    paused: bool
    next_fire: AwareDatetime | None
    """Without pause; None when there are no more times."""
    revision: int
    changed: AwareDatetime
    changed_by: str


class FireRow(Fact):
    """What became of one scheduled time, or of a run that was triggered by hand."""

    schedule: str
    at: AwareDatetime
    outcome: Outcome
    run: str | None
    state: State | None
    """Of the run, now."""
    actor: str
    detail: str
    noted: AwareDatetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Add a schedule, or give one another shape."""

    schedule: Schedule
    next_fire: datetime | None
    actor: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Pause, resume or remove a schedule. `next_fire`: for a resumed one."""

    name: str
    action: Action
    next_fire: datetime | None
    actor: str
    reason: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """What became of one time."""

    at: datetime
    outcome: Outcome
    actor: str
    run: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fires:
    """What became of the times of one schedule; and, but for a trigger, where it goes on."""

    name: str
    fires: tuple[Fire, ...]
    now: datetime
    moves: tuple[int, datetime, datetime | None] | None = None
    """Revision, the time that was due, the next one."""


def put(connection: Connection, asked: Sequence[Put]) -> Sequence[ScheduleRow | LedgerError]:
    """Each as it stands now."""
    return [_put(connection, one) for one in asked]


def _put(connection: Connection, asked: Put) -> ScheduleRow:
    name = asked.schedule.name
    row = _row(connection, name)
    values = {
        "spec": asked.schedule.model_dump_json(),
        "next_fire": asked.next_fire,
        "changed": asked.now,
        "changed_by": asked.actor,
        "revision": 1 if row is None else row.revision + 1,
    }
    if row is None:
        connection.execute(insert(tables.schedule).values(name=name, paused=False, **values))
    elif Schedule.model_validate_json(row.spec) == asked.schedule:
        return _a_row(row)  # the same again: nothing to note
    else:
        connection.execute(update(tables.schedule).where(_s.name == name).values(**values))
    _note(connection, asked, name, "add" if row is None else "change")
    return _a_row(_row(connection, name))


def switch(connection: Connection, asked: Sequence[Switch]) -> Sequence[bool | LedgerError]:
    """Whether each changed anything."""
    return [_switch(connection, one) for one in asked]


def _switch(connection: Connection, asked: Switch) -> bool | LedgerError:
    row = _row(connection, asked.name)
    if row is None:
        return UnknownRow(f"there is no schedule {asked.name!r}; nothing was changed")
    this = _s.name == asked.name
    if asked.action == "remove":
        connection.execute(delete(tables.schedule).where(this))
    elif row.paused == (asked.action == "pause"):
        return False
    else:
        connection.execute(
            update(tables.schedule)
            .where(this)
            .values(
                paused=asked.action == "pause",
                next_fire=row.next_fire if asked.action == "pause" else asked.next_fire,
                revision=row.revision + 1,
            )
        )
    _note(connection, asked, asked.name, asked.action)
    return True


def _note(connection: Connection, asked: Put | Switch, name: str, action: str) -> None:
    note(
        connection,
        at=asked.now,
        what="schedule",
        name=name,
        action=action,
        actor=asked.actor,
        reason=asked.reason,
        facts=asked.schedule.model_dump(mode="json") if isinstance(asked, Put) else None,
    )


def note_fires(connection: Connection, asked: Sequence[Fires]) -> Sequence[int | LedgerError]:
    """How many times of each were new."""
    return [_note_fires(connection, one) for one in asked]


def _note_fires(connection: Connection, asked: Fires) -> int:
    if asked.moves is not None:
        revision, due, following = asked.moves
        connection.execute(
            _move,
            {"b_name": asked.name, "b_revision": revision, "b_due": due, "b_next": following},
        )
    new = [
        one
        for one in asked.fires
        if not connection.execute(_fired, {"schedule": asked.name, "at": one.at}).first()
    ]
    if new:
        connection.execute(
            insert(tables.fire),
            [
                {
                    "schedule": asked.name,
                    "at": one.at,
                    "outcome": one.outcome,
                    "run": one.run,
                    "actor": one.actor,
                    "detail": one.detail,
                    "noted": asked.now,
                }
                for one in new
            ],
        )
    return len(new)


def due_now(engine: Engine, now: datetime, limit: int) -> list[ScheduleRow]:
    """Schedules whose next time has come, the earliest first."""
    query = (
        select(tables.schedule)
        .where(_s.paused == false(), _s.next_fire <= now)
        .order_by(_s.next_fire, _s.name)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [_a_row(row) for row in connection.execute(query)]


def every_schedule(connection: Connection) -> list[ScheduleRow]:
    """All schedules, by name."""
    query = select(tables.schedule).order_by(_s.name)
    return [_a_row(row) for row in connection.execute(query)]


def one_schedule(connection: Connection, name: str) -> ScheduleRow:
    """One schedule. Raises UnknownRow."""
    row = _row(connection, name)
    if row is None:
        raise UnknownRow(f"there is no schedule {name!r}")
    return _a_row(row)


def fires_of(connection: Connection, name: str, limit: int) -> list[FireRow]:
    """What became of a schedule's times, the latest first; also of one that was removed."""
    query = (
        select(tables.fire, _r.state)
        .outerjoin(tables.run, and_(_r.run == _f.run))
        .where(_f.schedule == name)
        .order_by(_f.at.desc())
        .limit(limit)
    )
    return [FireRow.model_validate(row._asdict()) for row in connection.execute(query)]


def _row(connection: Connection, name: str) -> AnyRow | None:
    return connection.execute(select(tables.schedule).where(_s.name == name)).first()


def _a_row(row: AnyRow | None) -> ScheduleRow:
    assert row is not None
    return ScheduleRow(
        schedule=Schedule.model_validate_json(row.spec),
        paused=row.paused,
        next_fire=row.next_fire,
        revision=row.revision,
        changed=row.changed,
        changed_by=row.changed_by,
    )
