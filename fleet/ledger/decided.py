"""Decisions as they were recorded: all that a run was given, and what a replay asks again."""

from collections.abc import Iterator

from pydantic import AwareDatetime
from sqlalchemy import Connection, select

from contracts.decision import Decision
from contracts.fact import Fact
from fleet.ledger import tables

_r, _t, _d = tables.run.c, tables.task.c, tables.decision.c


class DecidedRow(Fact):
    """One decision, and where it was given. `task`, `stage` and `epoch` are empty at `admit`."""

    run: str
    task: str = ""
    stage: str = ""
    partition: str = ""
    epoch: int = 0
    at: AwareDatetime
    decision: Decision


def of_run(connection: Connection, run: str) -> Iterator[DecidedRow]:
    """The run's admission, then its tasks' decisions: by stage, partition, attempt and order."""
    admitted = select(_r.admitted, _r.submitted).where(_r.run == run)
    for text, at in connection.execute(admitted):
        yield DecidedRow(run=run, at=at, decision=Decision.model_validate_json(text))
    tasks = (
        select(_t.task, _t.stage, _t.partition, _d.epoch, _d.recorded, _d.decision)
        .join(tables.decision, _d.task == _t.task)
        .where(_t.run == run)
        .order_by(_t.stage, _t.partition, _t.task, _d.epoch, _d.position)
    )
    for row in connection.execute(tasks):
        yield DecidedRow(
            run=run,
            task=row.task,
            stage=row.stage,
            partition=row.partition,
            epoch=row.epoch,
            at=row.recorded,
            decision=Decision.model_validate_json(row.decision),
        )


def recorded(connection: Connection, limit: int) -> Iterator[tuple[str, Decision]]:
    """The latest `limit` runs' admissions and as many tasks' decisions, each with its place."""
    runs = select(_r.run, _r.admitted).order_by(_r.submitted.desc(), _r.run.desc()).limit(limit)
    for run, text in connection.execute(runs):
        yield f"run {run}", Decision.model_validate_json(text)
    tasks = (
        select(_d.task, _d.decision)
        .order_by(_d.recorded.desc(), _d.task, _d.epoch, _d.position)
        .limit(limit)
    )
    for task, text in connection.execute(tasks):
        yield f"task {task}", Decision.model_validate_json(text)
