"""What people did: who, what, why and when, told from the facts themselves.

Nothing is written for it: a submission, a redrive, a vote or a cancellation is recorded with its
actor and reason in the transaction that carries it out, so the list can neither miss one nor name
one that was not.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime
from sqlalchemy import Connection, Select, and_, select, type_coerce

from contracts.fact import Fact, JsonObject
from fleet.ledger import tables
from fleet.ledger.paging import Page, cursor_of, time_of, values_of
from fleet.ledger.pauses import REDRIVE
from fleet.ledger.types import AnyRow, Text, micros

_j, _v, _e = tables.redrive_job.c, tables.vote.c, tables.event.c
_s, _r, _w = tables.audit.c, tables.run.c, tables.worker.c
_x = tables.archive.c


class Act(Fact):
    """One thing that somebody did."""

    at: AwareDatetime
    actor: str
    action: str
    """As contracts/access.py names it."""
    on: str
    """What it was done to, for a person."""
    reason: str
    run: str | None = None
    task: str | None = None
    redrive: str | None = None
    facts: JsonObject = {}


def acts(
    connection: Connection, cursor: str | None, limit: int, *, submissions: bool = True
) -> Page[Act]:
    """The latest first; runs that were asked for only with `submissions`, since those are most.

    Raises UnknownRow for a cursor that is none.

    What was done in the very microsecond that a page ends with is told with it, however much.
    """
    before = None if cursor is None else time_of(values_of(cursor, int)[0])
    found = [
        told(row)
        for query, column, told in _KINDS
        if submissions or told is not _a_submission
        for row in _latest(connection, query, column, before, limit)
    ]
    found.sort(key=lambda act: (act.at, act.action, act.on, act.actor), reverse=True)
    if len(found) <= limit:
        return Page(rows=tuple(found), next=None)
    last = found[limit - 1].at
    return Page(
        rows=tuple(act for act in found if act.at >= last),
        next=cursor_of(micros(last)),
    )


def _latest(
    connection: Connection,
    query: Select[Any],
    column: Any,
    before: datetime | None,
    limit: int,
) -> Sequence[AnyRow]:
    """The latest rows before a time: more than `limit`, where there are more."""
    if before is not None:
        query = query.where(column < before)
    rows = connection.execute(query.order_by(column.desc()).limit(limit + 1)).all()
    if len(rows) > limit:  # and what else bears the time of the last
        rows = connection.execute(query.where(column >= rows[-1][0])).all()
    return rows


def _a_redrive(row: AnyRow) -> Act:
    chosen = ", ".join(
        f"group {value}" if name == "group" else name for name, value in row.selection.items()
    )
    return Act(
        at=row.asked,
        actor=row.actor,
        action="dead_letter.edit" if "message" in row.selection else "dead_letter.redrive",
        on=f"{row.total} of {chosen}",
        reason=row.reason,
        redrive=row.job,
    )


def _a_stop(row: AnyRow) -> Act:
    done = row.redriven + row.refused
    return Act(
        at=row.ended,
        actor=row.ended_by,
        action="dead_letter.redrive",
        on=f"stopped a redrive after {done} of {row.total}",
        reason=row.reason or "",  # of an earlier version's there is none
        redrive=row.job,
    )


def _a_submission(row: AnyRow) -> Act:
    return Act(
        at=row.submitted,
        actor=row.requester,
        action="run.submit",
        on=f"{row.pipeline} for {row.tenant}",
        reason="",  # what it is asked for stands in the request
        run=row.run,
        facts={"pipeline": row.pipeline, "tenant": row.tenant},
    )


def _a_vote(row: AnyRow) -> Act:
    return Act(
        at=row.at,
        actor=row.person,
        action="approval.vote",
        on="approved" if row.approves else "refused",
        reason=row.comment,
        # On a held run, the vote's task is the run itself.
        run=row.run or row.task,
        task=row.task if row.run else None,
    )


def _a_switch(row: AnyRow) -> Act:
    changes = "schedule.change" if row.what == "schedule" else "lane.pause"
    return Act(
        at=row.at,
        actor=row.actor,
        action=changes,
        on=f"{row.action} {row.what} {row.name}",
        reason=row.reason,
        facts=row.facts or {},
    )


def _an_archive(row: AnyRow) -> Act:
    return Act(
        at=row.at,
        actor=row.actor,
        action="run.archive",
        on=f"{row.runs:,} runs that ended until {row.last_ended:%Y-%m-%d %H:%M}Z",
        reason="",  # their age
        facts={"archive": row.digest, "rows": row.rows},
    )


def _a_drain(row: AnyRow) -> Act:
    return Act(
        at=row.drain_asked,
        actor=row.drained_by,
        action="worker.drain",
        on=row.worker,
        reason=row.drain_reason,
    )


def _an_event(row: AnyRow) -> Act:
    facts = row.facts or {}
    forced = ", by force" if facts.get("force") else ""
    return Act(
        at=row.at,
        actor=row.actor,
        action=str(facts.get("action", "task.retry")),
        on=("the run" if row.task is None else "a task") + forced,
        reason=row.detail,
        run=row.run,
        task=row.task,
        facts=facts,
    )


_KINDS: tuple[tuple[Select[Any], Any, Callable[[AnyRow], Act]], ...] = (
    (
        select(_j.asked, _j.job, _j.actor, _j.reason, _j.selection, _j.total),
        _j.asked,
        _a_redrive,
    ),
    (
        select(_j.ended, _j.job, _j.ended_by, _j.total, _j.redriven, _j.refused, _s.reason)
        .outerjoin(tables.audit, and_(_s.what == REDRIVE, _s.name == _j.job))
        .where(tables.STOPPED),
        _j.ended,
        _a_stop,
    ),
    (
        select(_r.submitted, _r.run, _r.requester, _r.pipeline, _r.tenant),
        _r.submitted,
        _a_submission,
    ),
    (
        select(_w.drain_asked, _w.worker, _w.drained_by, _w.drain_reason).where(tables.DRAINED),
        _w.drain_asked,
        _a_drain,
    ),
    (
        select(_v.at, _v.task, _v.person, _v.approves, _v.comment, tables.task.c.run).outerjoin(
            tables.task, tables.task.c.task == _v.task
        ),
        _v.at,
        _a_vote,
    ),
    (
        select(_s.at, _s.what, _s.name, _s.action, _s.actor, _s.reason, _s.facts).where(
            _s.what != REDRIVE
        ),
        _s.at,
        _a_switch,
    ),
    (
        select(_x.at, _x.digest, _x.actor, _x.runs, _x.rows, _x.last_ended),
        _x.at,
        _an_archive,
    ),
    (
        select(_e.at, _e.run, _e.task, _e.actor, _e.detail, _e.facts).where(
            # What a redrive of many did to each of its tasks is told once, by the redrive.
            tables.BY_PEOPLE,
            type_coerce(_e.facts, Text).not_like('%"job":%'),
        ),
        _e.at,
        _an_event,
    ),
)
