"""Every request that a gate was given, as the recorded decisions tell: what a replay asks again."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from contracts.decision import Decision
from fleet.ledger import tables

_r, _d = tables.run.c, tables.decision.c


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
