"""Whether a ledger slows down as it grows: claims and records beside so many rows of earlier tasks.

Rows of earlier tasks are spread over the hours before, a thousand tasks a
run. Then new runs are started, claimed, and recorded with a decision and spans, 100 at a time.
"""

import hashlib
import itertools
import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert

from bench.fleet.load import one_task
from contracts.artifact import Scope
from contracts.decision import Cause, Decision, Gate, Reason, Verdict
from contracts.ids import run_id, task_id
from contracts.request import RunRequest
from contracts.states import State
from fleet.ledger import claim, notes, record, start, tables
from fleet.ledger.database import open_engine
from fleet.ledger.migrate import to_head
from fleet.ledger.rows import Claim, NewRun, Record, SpanRow

_BATCH = 100
_ROUNDS = 40
_A_RUN = 1000
_FILL = 50_000
_DECISION = Decision(
    gate=Gate.EXECUTE,
    verdict=Verdict.ALLOW,
    cause=Cause.PERMIT,
    reasons=(Reason(rule="lane.noop.execute", text="Lane noop runs bench.noop."),),
    facts={"tenant": "acme", "lane": "noop", "kind": "bench.noop", "stage": "s0"},
    facts_digest="0" * 64,
    bundle="1" * 64,
)


def per_task(folder: Path, rows: int) -> dict[str, float]:
    """Microseconds of wall time a task, the median batch's, in a ledger of so many tasks."""
    engine = open_engine(f"sqlite:///{folder / f'size-{rows}.db'}")
    try:
        to_head(engine)
        _fill(engine, rows)
        taken: dict[str, list[float]] = {"claim": [], "record": [], "spans": []}
        for number in range(_ROUNDS):
            for step, seconds in _batch(engine, number).items():
                taken[step].append(seconds / _BATCH * 1e6)
        return {step: round(statistics.median(seconds), 1) for step, seconds in taken.items()}
    finally:
        engine.dispose()


def _batch(engine: Engine, number: int) -> dict[str, float]:
    """Seconds of each step, each a transaction."""
    now = datetime.now(UTC)
    runs = [
        run_id(now, hashlib.sha256(f"{number}/{n}".encode()).digest()[:10]) for n in range(_BATCH)
    ]
    request = RunRequest(pipeline="noop", scope=Scope(tenant="acme"), requester="bench")
    new = [
        NewRun(
            run=run,
            request=request,
            graph=one_task(),
            admitted=_DECISION,
            submitted=now,
            deadline=now + timedelta(hours=1),
        )
        for run in runs
    ]
    with engine.begin() as connection:
        start.start_runs(connection, new)
    tasks = [task_id(run, "s0") for run in runs]
    until = now + timedelta(seconds=30)
    claims = [Claim(task=t, attempt=1, worker="w", now=now, lease_until=until) for t in tasks]
    records = [
        Record(
            task=task,
            epoch=1,
            worker="w",
            now=now,
            state=State.SUCCEEDED,
            decisions=(_DECISION,),
        )
        for task in tasks
    ]
    spans = tuple(
        SpanRow(
            trace_id=_trace(now, task),
            span_id=f"{place:016x}",
            name=name,
            kind="internal",
            start_ns=1,
            end_ns=2,
            attributes={"leaf.task": task},
            task=task,
        )
        for task in tasks
        for place, name in enumerate(("process lane-noop", "run bench.noop", "settle lane-noop"))
    )
    begun = [time.perf_counter()]
    steps: list[tuple[Callable[[Connection, Any], object], Any]] = [
        (claim.claim, claims),
        (record.record, records),
        (notes.add_spans, [spans]),
    ]
    for operation, given in steps:
        with engine.begin() as connection:
            operation(connection, given)
        begun.append(time.perf_counter())
    return dict(
        zip(
            ("claim", "record", "spans"),
            (b - a for a, b in itertools.pairwise(begun)),
            strict=True,
        )
    )


def _fill(engine: Engine, rows: int) -> None:
    """Earlier tasks: each with an attempt, a decision, two events and three spans."""
    began = datetime.now(UTC) - timedelta(hours=8)
    text = _DECISION.model_dump_json()
    for at in range(0, rows, _FILL):
        count = min(_FILL, rows - at)
        tasks, attempts, decisions, events, spans = [], [], [], [], []
        for number in range(at, at + count):
            when = began + timedelta(milliseconds=number // _A_RUN * 5)
            run = run_id(when, hashlib.sha256(str(number // _A_RUN).encode()).digest()[:10])
            task = task_id(run, "s0", str(number))
            tasks.append(
                {
                    "task": task,
                    "run": run,
                    "stage": "s0",
                    "partition": str(number),
                    "kind": "bench.noop",
                    "version": 1,
                    "lane": "noop",
                    "payload": "{}",
                    "state": "succeeded",
                    "pending": 0,
                    "attempt": 1,
                    "max_attempts": 4,
                    "epoch": 1,
                    "deadline": when,
                    "started": when,
                    "ended": when,
                }
            )
            attempts.append(
                {
                    "task": task,
                    "epoch": 1,
                    "number": 1,
                    "worker": "w",
                    "state": "succeeded",
                    "started": when,
                    "ended": when,
                }
            )
            decisions.append(
                {"task": task, "epoch": 1, "position": 0, "recorded": when, "decision": text}
            )
            events += [
                {
                    "at": when,
                    "run": run,
                    "task": task,
                    "actor": "w",
                    "old": "queued",
                    "new": new,
                    "detail": "",
                }
                for new in ("running", "succeeded")
            ]
            spans += [
                {
                    "trace_id": _trace(when, task),
                    "span_id": f"{place:016x}",
                    "name": "process lane-noop",
                    "kind": "internal",
                    "start_ns": 1,
                    "end_ns": 2,
                    "status": "unset",
                    "attributes": {"leaf.task": task},
                    "run": run,
                    "task": task,
                }
                for place in range(3)
            ]
        with engine.begin() as connection:
            for table, told in (
                (tables.task, tasks),
                (tables.attempt, attempts),
                (tables.decision, decisions),
                (tables.event, events),
                (tables.span, spans),
            ):
                connection.execute(insert(table), told)


def _trace(when: datetime, task: str) -> str:
    """As the local tracer makes them: begun with the time."""
    return f"{int(when.timestamp()):08x}{uuid.uuid5(uuid.NAMESPACE_OID, task).hex[8:]}"
