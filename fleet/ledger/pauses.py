"""Pauses: a lane or a pipeline of which nothing new starts until somebody resumes it.

The claim itself looks (`nothing_paused`), so that from the commit on no worker starts anything,
whatever it has received already; what runs goes on to its end. Who paused and why stands in the
row; that it was paused, and resumed by whom, stays in the audit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
)

from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.rows import AuditRow, PauseRow

What = Literal["lane", "pipeline"]

REDRIVE = "redrive"
"""What a row of the audit is about that says why a redrive was stopped."""
_p, _t, _r, _o = tables.pause.c, tables.task.c, tables.run.c, tables.outbox.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Pause, or resume, one lane or pipeline."""

    what: What
    name: str
    resume: bool
    actor: str
    reason: str
    now: datetime


def change(connection: Connection, asked: Sequence[Pause]) -> Sequence[bool | LedgerError]:
    """Whether each changed anything: pausing what is paused, and resuming what is not, is none."""
    return [_change(connection, one) for one in asked]


def _change(connection: Connection, asked: Pause) -> bool:
    this = and_(_p.what == asked.what, _p.name == asked.name)
    if asked.resume:
        if not connection.execute(delete(tables.pause).where(this)).rowcount:
            return False
    else:
        if connection.execute(select(_p.name).where(this)).first():
            return False
        connection.execute(
            insert(tables.pause).values(
                what=asked.what,
                name=asked.name,
                actor=asked.actor,
                reason=asked.reason,
                at=asked.now,
            )
        )
    note(
        connection,
        at=asked.now,
        what=asked.what,
        name=asked.name,
        action="resume" if asked.resume else "pause",
        actor=asked.actor,
        reason=asked.reason,
    )
    return True


def note(
    connection: Connection,
    *,
    at: datetime,
    what: str,
    name: str,
    action: str,
    actor: str,
    reason: str,
    facts: Any = None,
) -> None:
    """Add to the audit."""
    connection.execute(
        insert(tables.audit).values(
            at=at, what=what, name=name, action=action, actor=actor, reason=reason, facts=facts
        )
    )


def nothing_paused() -> ColumnElement[bool]:
    """For a statement over `task`: neither its lane nor its pipeline is paused."""
    return _none(tables.task, _p.name == _t.lane, _t.run)


def nothing_paused_of_outbox() -> ColumnElement[bool]:
    """The same for a statement over `outbox`."""
    return _none(tables.outbox, _o.queue == literal("lane-") + _p.name, _o.run)


def _none(
    table: Table, lane_is_named: ColumnElement[bool], run: ColumnElement[str]
) -> ColumnElement[bool]:
    pipeline = select(_r.pipeline).where(_r.run == run).correlate(table).scalar_subquery()
    paused = select(_p.name).where(
        or_(
            and_(_p.what == "lane", lane_is_named),
            and_(_p.what == "pipeline", _p.name == pipeline),
        )
    )
    return ~paused.correlate(table).exists()


_any = select(_p.name).where(_p.what.in_(["lane", "pipeline"])).limit(1)


def any_active(connection: Connection) -> bool:
    """Whether anything is paused."""
    return connection.execute(_any).first() is not None


def active(connection: Connection) -> set[tuple[str, str]]:
    """What is paused, as (what, name)."""
    return {(row.what, row.name) for row in connection.execute(select(_p.what, _p.name))}


def key_of(what: str, name: str) -> str:
    """What a task that a pause put off waits for."""
    return f"paused/{what}/{name}"


def pauses(connection: Connection) -> list[PauseRow]:
    """Everything that is paused, the latest first."""
    put_off = tables.put_off.c
    counts = (
        select(put_off.key, func.count().label("tasks"))
        .where(put_off.key.startswith("paused/", autoescape=True))
        .group_by(put_off.key)
    )
    waiting = {row.key: row.tasks for row in connection.execute(counts)}
    query = select(tables.pause).order_by(_p.at.desc(), _p.what, _p.name)
    return [
        PauseRow.model_validate(
            row._asdict() | {"put_off": waiting.get(key_of(row.what, row.name), 0)}
        )
        for row in connection.execute(query)
    ]


def audit(connection: Connection, what: str, name: str | None, limit: int) -> list[AuditRow]:
    """What was done to the lanes, pipelines or schedules, or to one of them; the latest first."""
    a = tables.audit.c
    wanted = [a.what == what] + ([] if name is None else [a.name == name])
    query = select(tables.audit).where(*wanted).order_by(a.seq.desc()).limit(limit)
    return [AuditRow.model_validate(row._asdict()) for row in connection.execute(query)]


def any_paused(engine: Engine) -> set[tuple[str, str]]:
    """What is paused, read aside of the writer."""
    with engine.connect() as connection:
        return active(connection)
