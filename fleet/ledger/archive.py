"""Retention: runs that ended long ago are read whole, and deleted once they are archived elsewhere.

Everything goes that hangs on a run: its tasks with their attempts, pointers, decisions, events and
approvals, and the spans of its traces. Its artifacts stay in their store. What is deleted is named
by the run and the moment of its end: a run that was opened again since stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Engine, Table, bindparam, delete, func, insert, select

from contracts.artifact import ArtifactPointer
from contracts.states import FINAL
from fleet.ledger import tables
from fleet.ledger.advance import hold
from fleet.ledger.errors import LedgerError
from fleet.ledger.moves import IDS, chunks
from fleet.ledger.rows import ArchiveRow, EndedRun

_r = tables.run.c

_is_old = (
    _r.ended < bindparam("before"),
    _r.state.in_([state.value for state in sorted(FINAL)]),
)

_ended = (
    select(_r.run, _r.ended, _r.tasks)
    .where(*_is_old)
    .order_by(_r.submitted, _r.run)
    .limit(bindparam("limit"))
)

_still = select(_r.run, _r.ended).where(_r.run.in_(bindparam("runs", expanding=True)))

_tasks = select(tables.task.c.task).where(tables.task.c.run.in_(bindparam("runs", expanding=True)))

OF_RUN: tuple[Table, ...] = (tables.run_approval, tables.run)
"""By run; the run itself last, so that what a crash leaves is found again."""
OF_TASK: tuple[Table, ...] = (
    tables.attempt,
    tables.output,
    tables.input_,
    tables.decision,
    tables.outbox,
    tables.event,
    tables.approval,
    tables.vote,
    tables.task,
)
_run_events = (
    tables.event.c.run.in_(bindparam("ids", expanding=True)),
    tables.OF_RUN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Runs that lie in an archive now."""

    runs: tuple[EndedRun, ...]
    archive: ArtifactPointer
    rows: int
    now: datetime
    actor: str


def ended_runs(engine: Engine, before: datetime, limit: int) -> list[EndedRun]:
    """Up to `limit` runs that ended before a time, the oldest first."""
    with engine.connect() as connection:
        found = connection.execute(_ended, {"before": before, "limit": limit}).all()
    return [EndedRun(run=row.run, ended=row.ended, tasks=row.tasks) for row in found]


def count_ended(engine: Engine, before: datetime) -> tuple[int, int]:
    """How many runs ended before a time, and their tasks."""
    counted = select(func.count(), func.coalesce(func.sum(_r.tasks), 0)).where(*_is_old)
    with engine.connect() as connection:
        runs, tasks = connection.execute(counted, {"before": before}).one()
    return int(runs), int(tasks)


def whole(engine: Engine, runs: Sequence[EndedRun]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row that hangs on these runs, with its table's name, at one moment of the ledger."""
    ids = [one.run for one in runs]
    with engine.connect() as connection:
        traces: set[str] = set()
        for table in OF_RUN:
            for row in _read(connection, table, table.c.run, ids):
                traces |= _trace(row.get("traceparent"))
                yield table.name, row
        for event in connection.execute(select(tables.event).where(*_run_events), {"ids": ids}):
            yield tables.event.name, dict(event._mapping)
        for some in _task_ids(connection, ids):
            for table in OF_TASK:
                for row in _read(connection, table, table.c.task, some):
                    traces |= _trace(row.get("traceparent"))
                    yield table.name, row
        for row in _read(connection, tables.span, tables.span.c.trace_id, sorted(traces)):
            yield tables.span.name, row


def prune(connection: Connection, batch: Sequence[Prune]) -> Sequence[int | LedgerError]:
    """How many runs each deleted: those that still stand as they were archived."""
    return [_prune(connection, one) for one in batch]


def _prune(connection: Connection, asked: Prune) -> int:
    # Held first: a redrive that opens one of them again comes before or after this, not between.
    hold(connection, [one.run for one in asked.runs])
    standing = {
        (row.run, row.ended)
        for some in chunks([one.run for one in asked.runs], IDS)
        for row in connection.execute(_still, {"runs": list(some)})
    }
    ids = [one.run for one in asked.runs if (one.run, one.ended) in standing]
    if not ids:
        return 0
    traces: set[str] = set()
    for some in _task_ids(connection, ids):
        attempts = select(tables.attempt.c.traceparent).where(tables.attempt.c.task.in_(some))
        traces |= {trace for row in connection.execute(attempts) for trace in _trace(row[0])}
        for table in OF_TASK:
            connection.execute(delete(table).where(table.c.task.in_(some)))
    roots = select(_r.traceparent).where(_r.run.in_(ids))
    traces |= {trace for row in connection.execute(roots) for trace in _trace(row[0])}
    for gone in chunks(sorted(traces), IDS):
        connection.execute(delete(tables.span).where(tables.span.c.trace_id.in_(gone)))
    connection.execute(delete(tables.event).where(*_run_events), {"ids": ids})
    for table in OF_RUN:
        connection.execute(delete(table).where(table.c.run.in_(ids)))
    ended = [one.ended for one in asked.runs]
    connection.execute(
        insert(tables.archive),
        {
            "digest": asked.archive.digest,
            "at": asked.now,
            "actor": asked.actor,
            "runs": len(ids),
            "rows": asked.rows,
            "first_ended": min(ended),
            "last_ended": max(ended),
            "pointer": asked.archive.model_dump_json(exclude_defaults=True),
        },
    )
    return len(ids)


def archives(engine: Engine, limit: int) -> list[ArchiveRow]:
    """What was archived, the latest first."""
    _a = tables.archive.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(tables.archive).order_by(_a.at.desc(), _a.digest).limit(limit)
        ).all()
    return [
        ArchiveRow.model_validate(
            dict(row._mapping) | {"pointer": ArtifactPointer.model_validate_json(row.pointer)}
        )
        for row in rows
    ]


def _task_ids(connection: Connection, runs: Sequence[str]) -> Iterator[list[str]]:
    """The tasks of `runs`, in lists that a statement takes. The ids are read before they are used:
    nothing that is deleted meanwhile is missed."""
    found = [
        row.task
        for some in chunks(runs, IDS)
        for row in connection.execute(_tasks, {"runs": list(some)})
    ]
    yield from (list(some) for some in chunks(sorted(found), IDS))


def _read(
    connection: Connection, table: Table, column: "Column[Any]", ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for some in chunks(ids, IDS):
        for row in connection.execute(
            select(table).where(column.in_(some)).order_by(*table.primary_key.columns)
        ):
            yield dict(row._mapping)


def _trace(traceparent: str | None) -> set[str]:
    """The trace's id, where there is one."""
    return {traceparent.split("-")[1]} if traceparent else set()
