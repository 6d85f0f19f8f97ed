"""What the read side puts together from the tables' rows: runs, tasks, stages, dead letters."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, null, select

from contracts.artifact import ArtifactPointer
from contracts.decision import Decision
from contracts.outcome import Fault
from contracts.plan import RunGraph
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.rows import (
    AttemptRow,
    DeadRow,
    EventRow,
    RecordedDecision,
    RunRow,
    StageRow,
    TaskRow,
)
from fleet.ledger.types import AnyRow

_t, _a, _d = tables.task.c, tables.attempt.c, tables.dead_letter.c

_FAULT: TypeAdapter[Fault | None] = TypeAdapter(Fault | None)


def run_fields(row: AnyRow) -> dict[str, Any]:
    """What every shape of a run shows, from its row."""
    return {name: getattr(row, name) for name in RunRow.model_fields}


def task_fields(row: AnyRow) -> dict[str, Any]:
    """What every shape of a task shows, from its row."""
    return {name: getattr(row, name) for name in TaskRow.model_fields}


def an_attempt(row: AnyRow) -> AttemptRow:
    """One attempt, from its row."""
    return AttemptRow(
        number=row.number,
        epoch=row.epoch,
        worker=row.worker,
        state=State(row.state),
        started=row.started,
        ended=row.ended,
        fault=_FAULT.validate_python(row.fault),
        facts=row.facts or {},
        reused_from=row.reused_from,
        trace_id=trace_id(row.traceparent),
    )


def an_event(row: AnyRow) -> EventRow:
    """One event, from its row."""
    return EventRow.model_validate(row._asdict())


def trace_id(traceparent: str | None) -> str | None:
    """The trace of a W3C traceparent: `00-<trace>-<span>-<flags>`."""
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None


def in_state_order(counts: dict[State, int]) -> dict[State, int]:
    """The same counts in the order in which the states are declared."""
    return {state: counts[state] for state in State if state in counts}


def stages_of(connection: Connection, run: str, graph: RunGraph) -> tuple[StageRow, ...]:
    """The stages of a run in graph order, summed up by the database."""
    query = (
        select(
            _t.stage,
            _t.state,
            func.count().label("tasks"),
            func.sum(case((_t.started.is_not(None), _t.attempt), else_=0)).label("attempts"),
            func.min(_t.started).label("started"),
            func.max(_t.ended).label("ended"),
        )
        .where(_t.run == run)
        .group_by(_t.stage, _t.state)
    )
    rows: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in connection.execute(query):
        rows[row.stage].append(row)
    return tuple(
        StageRow(
            stage=stage.name,
            kind=stage.kind,
            lane=stage.lane,
            needs=stage.needs,
            tasks=sum(row.tasks for row in rows[stage.name]),
            states=in_state_order({State(row.state): row.tasks for row in rows[stage.name]}),
            attempts=sum(row.attempts for row in rows[stage.name]),
            started=min(_known(row.started for row in rows[stage.name]), default=None),
            ended=None
            if any(State(row.state) not in FINAL for row in rows[stage.name])
            else max(_known(row.ended for row in rows[stage.name]), default=None),
        )
        for stage in graph.stages
    )


def _known(times: Iterable[Any]) -> list[Any]:
    return [at for at in times if at is not None]


def pointers(connection: Connection, table: Table, task: str) -> tuple[ArtifactPointer, ...]:
    """The inputs or outputs of the last attempt of `task` that recorded any, as recorded."""
    c = table.c
    last = select(func.max(c.epoch)).where(c.task == task).scalar_subquery()
    query = select(c.pointer).where(c.task == task, c.epoch == last).order_by(c.position)
    return tuple(
        ArtifactPointer.model_validate_json(pointer)
        for pointer in connection.execute(query).scalars()
    )


def decisions(connection: Connection, task: str) -> tuple[RecordedDecision, ...]:
    """What the gates said of a task, in the order in which they were asked."""
    c = tables.decision.c
    query = select(tables.decision).where(c.task == task).order_by(c.epoch, c.position)
    return tuple(
        RecordedDecision(
            epoch=row.epoch,
            at=row.recorded,
            decision=Decision.model_validate_json(row.decision),
        )
        for row in connection.execute(query)
    )


def dead_tasks(
    connection: Connection, wanted: ColumnElement[bool], at: ColumnElement[Any], limit: int
) -> Sequence[DeadRow]:
    """The latest of the tasks that are `wanted`; `at` is the column that tells since when."""
    query = (
        select(_t.task, _t.run, _t.stage, _t.partition, _t.state, _t.fault, at.label("at"))
        .outerjoin(tables.attempt, and_(_a.task == _t.task, _a.epoch == _t.epoch))
        .where(wanted)
        .order_by(at.desc(), _t.task.desc())
        .limit(limit)
    )
    rows = []
    for row in connection.execute(query):
        fault = _FAULT.validate_python(row.fault)
        rows.append(
            DeadRow(
                what="task",
                id=row.task,
                where=row.stage + (f"/{row.partition}" if row.partition else ""),
                state=row.state,
                reason="unknown" if fault is None else fault.code,
                description="" if fault is None else fault.message,
                run=row.run,
                task=row.task,
                at=row.at,
            )
        )
    return rows


def dead_messages(connection: Connection, limit: int) -> Sequence[DeadRow]:
    """The latest messages that could not be taken, and that nobody has taken up since."""
    query = (
        select(tables.dead_letter, _t.run)
        .outerjoin(tables.task, _t.task == _d.task)
        .where(_d.taken_up.is_(null()))
        .order_by(_d.at.desc(), _d.queue, _d.sequence_number.desc())
        .limit(limit)
    )
    return [
        DeadRow(
            what="message",
            id=f"{row.queue}/{row.sequence_number}",
            where=row.queue,
            state=row.disposition,
            reason=row.reason,
            description=row.description,
            run=row.run,
            task=row.task,
            at=row.at,
        )
        for row in connection.execute(query)
    ]
