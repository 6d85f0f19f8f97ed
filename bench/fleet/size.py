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
from fleet.ledger import claim, record, start, tables
from fleet.ledger.database import open_engine
from fleet.ledger.migrate import to_head
from fleet.ledger.rows import Claim, NewRun, Record
from fleet.ledger.spans import FinishedSpan, add_spans
from fleet.telemetry import names

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
    spans = tuple(_finished(now, None, task) for task in tasks)
    begun = [time.perf_counter()]
    steps: list[tuple[Callable[[Connection, Any], object], Any]] = [
        (claim.claim, claims),
        (record.record, records),
        (add_spans, [spans]),
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
            spans.append(vars(_finished(when, run, task)))
        with engine.begin() as connection:
            for table, told in (
                (tables.task, tasks),
                (tables.attempt, attempts),
                (tables.decision, decisions),
                (tables.event, events),
                (tables.span, spans),
            ):
                connection.execute(insert(table), told)


def _finished(when: datetime, run: str | None, task: str) -> FinishedSpan:
    """What a short task leaves in the trace store."""
    return FinishedSpan(
        trace_id=_trace(when, task),
        span_id=f"{0:016x}",
        parent_id=None,
        name="process lane-noop",
        kind="consumer",
        start_ns=1,
        end_ns=4,
        status="unset",
        attributes={
            **_messaging("process"),
            "messaging.message.id": f"{task}:1",
            "messaging.message.conversation_id": run or task,
            "leaf.run": run or task,
            "leaf.task": task,
            "leaf.stage": "s0",
            "leaf.partition": "",
            "leaf.lane": "noop",
            "leaf.attempt": 1,
            "leaf.delivery": 1,
            "messaging.servicebus.message.delivery_count": 1,
            "leaf.outcome": "succeeded",
            "leaf.decision.rules": ["lane.noop.execute"],
            "leaf.artifact.digests": [],
            "service.name": "leaf-fleet-worker",
        },
        run=run,
        task=task,
        within=[
            [f"{1:016x}", f"{0:016x}", "run bench.noop", "internal", 2, 3, "unset", {}],
            [
                *(f"{2:016x}", f"{0:016x}", "settle lane-noop", "client", 3, 4, "unset"),
                _messaging("settle"),
            ],
        ],
    )


def _messaging(operation: names.Operation) -> dict[str, Any]:
    return dict(names.messaging(operation, "lane-noop"))


def _trace(when: datetime, task: str) -> str:
    """As the local tracer makes them: begun with the time."""
    return f"{int(when.timestamp() * 65536):012x}{uuid.uuid5(uuid.NAMESPACE_OID, task).hex[12:]}"
