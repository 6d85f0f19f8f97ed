"""Redrives of many, as jobs: chosen in one transaction, worked off in bounded steps, each once.

A step marks its items in the transaction that redrives them, so that a crash anywhere leaves every
item either redriven and marked or neither; the next step, of whichever dispatcher, goes on there.
An item names the attempt that failed: one that was tried again meanwhile, by another job or by
hand, is refused and left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    select,
    true,
    update,
)

from fleet.ledger import tables
from fleet.ledger.errors import JobEnded, LedgerError, UnknownRow
from fleet.ledger.fingerprints import fill
from fleet.ledger.moves import CHUNK, IDS, chunks
from fleet.ledger.pauses import REDRIVE, note
from fleet.ledger.redrive import Redrive, redrive_tasks
from fleet.ledger.rows import NewRedrive, OutboxRow, RedriveJob, Selection, Stepped
from fleet.ledger.types import AnyRow, key
from policies.pace import allowed

STEP = 200
"""Tasks redriven in one transaction: others' renewals wait no longer than that takes."""

_r, _t = tables.run.c, tables.task.c
_j, _i = tables.redrive_job.c, tables.redrive_item.c

# The one that waited longest first, so that jobs take turns.
_running = select(_j.job).where(tables.REDRIVING).order_by(_j.paced, _j.job)

_named = select(_t.task, _t.attempt, _t.fingerprint).where(
    _t.task.in_(bindparam("tasks", expanding=True))
)

_hold = update(tables.redrive_job).where(_j.job == bindparam("b_job")).values(state=_j.state)

_job = select(tables.redrive_job).where(_j.job == bindparam("job"))

_next = (
    select(_i.position, _i.task, _i.attempt)
    .where(_i.job == bindparam("job"), _i.position >= bindparam("start"))
    .order_by(_i.position)
    .limit(bindparam("limit"))
)

_mark = (
    update(tables.redrive_item)
    .where(_i.job == bindparam("b_job"), _i.position == bindparam("b_position"))
    .values(
        state=bindparam("b_state"),
        became=bindparam("b_became"),
        at=bindparam("b_at"),
        note=bindparam("b_note"),
    )
)

_count = (
    update(tables.redrive_job)
    .where(_j.job == bindparam("b_job"))
    .values(
        redriven=_j.redriven + bindparam("b_redriven"),
        refused=_j.refused + bindparam("b_refused"),
        paced=bindparam("b_paced"),
        state=bindparam("b_state"),
        ended=bindparam("b_ended"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of whatever jobs are running."""

    now: datetime
    limit: int = STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRedrive:
    """Who wants a job to go no further."""

    job: str
    actor: str
    now: datetime
    reason: str = ""


def start_redrives(
    connection: Connection, asked: Sequence[NewRedrive]
) -> Sequence[RedriveJob | LedgerError]:
    """Choose the items of each job; one that chose nothing is done at once.

    A job of this id that is there already is given as it stands: asking twice is harmless.
    """
    return [_read(connection, one.job) or _start(connection, one) for one in asked]


def step_redrives(connection: Connection, asked: Sequence[Step]) -> Sequence[Stepped | LedgerError]:
    """What each step did. Jobs take turns; each keeps its own rate."""
    return [_step(connection, one) for one in asked]


def cancel_redrives(
    connection: Connection, asked: Sequence[CancelRedrive]
) -> Sequence[RedriveJob | LedgerError]:
    """Let jobs go no further; what they have redriven stays so. UnknownRow, JobEnded."""
    return [_cancel(connection, one) for one in asked]


def any_running(engine: Engine) -> bool:
    """Whether a job is running. Writes nothing."""
    with engine.connect() as connection:
        return connection.execute(_running.limit(1)).first() is not None


def selected(selection: Selection) -> ColumnElement[bool]:
    """By which condition tasks are the dead letters that `selection` means, other than by ids.

    Of a cancelled run nothing is: nobody waits for it any more.
    """
    # Asked of each dead letter's own run: there are few of those, and no index of cancelled runs.
    cancelled = exists().where(_r.run == _t.run, _r.cancel_requested == true())
    standing = and_(tables.DEAD, ~cancelled)
    return standing if selection.group is None else standing & (_t.fingerprint == selection.group)


def a_job(row: AnyRow) -> RedriveJob:
    """One job, from its row."""
    return RedriveJob.model_validate(row._asdict())


def _read(connection: Connection, job: str) -> RedriveJob | None:
    row = connection.execute(_job, {"job": job}).first()
    return None if row is None else a_job(row)


def _start(connection: Connection, asked: NewRedrive) -> RedriveJob:
    # What older writers left without a fingerprint belongs to its group as well.
    while fill(connection, CHUNK) == CHUNK:
        continue
    total = _choose(connection, asked)
    row: dict[str, Any] = {
        "job": asked.job,
        "state": "running" if total else "done",
        "actor": asked.actor,
        "reason": asked.reason,
        "selection": asked.selection.model_dump(mode="json", exclude_defaults=True),
        "per_second": asked.per_second,
        "total": total,
        "redriven": 0,
        "refused": 0,
        "asked": asked.now,
        "paced": asked.now,
        "ended": None if total else asked.now,
        "ended_by": None,
    }
    connection.execute(insert(tables.redrive_job), row)
    return RedriveJob.model_validate(row)


def _choose(connection: Connection, asked: NewRedrive) -> int:
    """Write down what is selected as the job's items, in order; how many there are."""
    if asked.selection.tasks is not None:
        return _choose_these(connection, asked.job, asked.selection.tasks)
    position = func.row_number().over(
        order_by=(func.coalesce(_t.ended, _t.queued, _t.deadline), _t.task)
    )
    chosen = connection.execute(
        insert(tables.redrive_item).from_select(
            ["job", "position", "task", "attempt", "fingerprint", "state"],
            select(
                literal(asked.job, key()),
                position - 1,
                _t.task,
                _t.attempt,
                _t.fingerprint,
                literal("pending", key(12)),
            ).where(selected(asked.selection)),
        ),
        # Else SQLAlchemy asks no driver for the count of an insert, and PostgreSQL's says -1.
        execution_options={"preserve_rowcount": True},
    )
    return chosen.rowcount


def _choose_these(connection: Connection, job: str, tasks: Sequence[str]) -> int:
    """Also those that are no dead letters: when their turn comes, they are refused and say why."""
    there = {
        row.task: row
        for some in chunks(tasks, IDS)
        for row in connection.execute(_named, {"tasks": some})
    }
    items = [
        {
            "job": job,
            "position": position,
            "task": task,
            "attempt": there[task].attempt if task in there else None,
            "fingerprint": there[task].fingerprint if task in there else None,
            "state": "pending",
        }
        for position, task in enumerate(dict.fromkeys(tasks))
    ]
    for some in chunks(items):
        connection.execute(insert(tables.redrive_item), list(some))
    return len(items)


def _step(connection: Connection, asked: Step) -> Stepped:
    redriven = refused = 0
    ended: list[str] = []
    outbox: list[OutboxRow] = []
    more = False
    budget = asked.limit
    for job in connection.execute(_running).scalars().all():
        # Held before it is read: another dispatcher may be at it.
        connection.execute(_hold, {"b_job": job})
        row = connection.execute(_job, {"job": job}).one()
        left = row.total - row.redriven - row.refused
        if row.state != "running":
            continue
        count, paced = allowed(row.paced, asked.now, row.per_second, min(left, budget))
        if count:
            marks, caused = _redrive_items(connection, row, count, asked.now)
            done = sum(mark["b_state"] == "redriven" for mark in marks)
            redriven, refused = redriven + done, refused + count - done
            outbox += caused
            budget -= count
            connection.execute(_mark, marks)
            connection.execute(
                _count,
                {
                    "b_job": job,
                    "b_redriven": done,
                    "b_refused": count - done,
                    "b_paced": paced,
                    "b_state": "running" if count < left else "done",
                    "b_ended": None if count < left else asked.now,
                },
            )
            if count == left:
                ended.append(job)
        more = more or (count < left and (row.per_second is None or not budget))
    return Stepped(
        redriven=redriven, refused=refused, ended=tuple(ended), more=more, outbox=tuple(outbox)
    )


def _redrive_items(
    connection: Connection, job: AnyRow, count: int, now: datetime
) -> tuple[list[dict[str, Any]], list[OutboxRow]]:
    """Redrive the next `count` items. Gives their marks, and the rows to relay."""
    items = connection.execute(
        _next, {"job": job.job, "start": job.redriven + job.refused, "limit": count}
    ).all()
    answers = redrive_tasks(
        connection,
        [
            Redrive(
                task=item.task,
                actor=job.actor,
                reason=job.reason,
                now=now,
                attempt=item.attempt,
                job=job.job,
            )
            for item in items
        ],
    )
    outbox: list[OutboxRow] = []
    marks = []
    for item, answer in zip(items, answers, strict=True):
        refused = isinstance(answer, LedgerError)
        if not isinstance(answer, LedgerError):
            outbox += answer.outbox
        marks.append(
            {
                "b_job": job.job,
                "b_position": item.position,
                "b_state": "refused" if refused else "redriven",
                "b_became": None if refused else str(item.attempt + 1),
                "b_at": now,
                "b_note": str(answer) if refused else None,
            }
        )
    return marks, outbox


def _cancel(connection: Connection, asked: CancelRedrive) -> RedriveJob | LedgerError:
    connection.execute(_hold, {"b_job": asked.job})
    row = connection.execute(_job, {"job": asked.job}).first()
    if row is None:
        return UnknownRow(f"there is no redrive {asked.job}")
    if row.state == "done":
        return JobEnded(f"redrive {asked.job} is done already; nothing was cancelled")
    if row.state == "running":
        values = {"state": "cancelled", "ended": asked.now, "ended_by": asked.actor}
        connection.execute(update(tables.redrive_job).where(_j.job == asked.job).values(values))
        note(
            connection,
            at=asked.now,
            what=REDRIVE,
            name=asked.job,
            action="stop",
            actor=asked.actor,
            reason=asked.reason,
        )
    return a_job(connection.execute(_job, {"job": asked.job}).one())
