"""A ledger as a fleet leaves it after a month, by bulk insert: what bench.console looks at."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Table, insert
from sqlalchemy.engine import Connection

from contracts.artifact import ArtifactPointer, Provenance, Scope, Tier
from contracts.decision import Gate
from contracts.ids import run_id, task_id
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from fleet.artifacts.folder import FolderStore
from fleet.ledger import tables
from fleet.ledger.database import open_engine
from fleet.ledger.migrate import to_head
from tests.console.ledgers import a_decision

STAGES = ("mirror", "normalize", "validate", "compute", "publish", "present", "agent")
_TENANTS = tuple(f"tenant-{n:02d}" for n in range(40))
_PIPELINES = ("guarantee_report", "claims_reconciliation", "monthly_close")
_CAUSES = ("source.away", "rules.broken", "timeout", "input.malformed", "memory")
_DAYS = 30
_CHUNK = 5000


@dataclass(frozen=True)
class Seeded:
    """What there is to look at: some of each."""

    runs: list[str]
    tasks: list[str]
    groups: list[str]
    tenants: list[str]
    pipelines: list[str]
    days: list[str]


def seed(home: Path, runs: int) -> Seeded:
    """Fill the ledger of `home`, unless that was done before."""
    told = home / "seeded.json"
    if not told.exists():
        home.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps(_seed(home, runs)))
    return TypeAdapter(Seeded).validate_json(told.read_bytes())


def _seed(home: Path, runs: int) -> dict[str, list[str]]:
    engine = open_engine(f"sqlite:///{home / 'ledger.db'}")
    to_head(engine)
    stored = FolderStore(home / "artifacts").put_bytes(Tier.SILVER, b'{"rows": 3}')
    maker = _Maker(datetime.now(UTC), runs, stored.digest, stored.size)
    numbers = iter(range(runs))
    while some := list(islice(numbers, _CHUNK)):
        rows: dict[str, list[dict[str, Any]]] = {}
        for number in some:
            for table, row in maker.run(number):
                rows.setdefault(table.name, []).append(row)
        with engine.begin() as connection:
            for name, values in rows.items():
                _insert(connection, tables.metadata.tables[name], values)
    engine.dispose()
    return {
        "runs": maker.some_runs,
        "tasks": maker.some_tasks,
        "groups": sorted(maker.groups),
        "tenants": list(_TENANTS),
        "pipelines": list(_PIPELINES),
        "days": [(maker.now - timedelta(days=n)).date().isoformat() for n in range(_DAYS)],
    }


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(tuple(row), []).append(row)
    for some in by_columns.values():
        connection.execute(insert(table), some)


class _Maker:
    """Makes runs up: most did well, a few failed, the newest still run."""

    def __init__(self, now: datetime, runs: int, digest: str, size: int) -> None:
        self.now, self._runs = now, runs
        self._chance = random.Random(42)
        self.some_runs: list[str] = []
        self.some_tasks: list[str] = []
        self.groups: set[str] = set()
        self._digest, self._size = digest, size
        self._graph = RunGraph(
            stages=tuple(
                StagePlan(
                    name=stage,
                    kind=f"{stage}.sql",
                    version=1,
                    lane=stage,
                    payload={},
                    needs=STAGES[n - 1 : n] if n else (),
                )
                for n, stage in enumerate(STAGES)
            )
        ).model_dump_json()
        self._decision = a_decision(Gate.EXECUTE, facts={"lane": "mirror", "tenant": "acme"})
        self._admitted = a_decision(Gate.ADMIT).model_dump_json()

    def run(self, number: int) -> Iterator[tuple[Table, dict[str, Any]]]:
        """Every row of one run."""
        chance = self._chance
        age = timedelta(days=_DAYS) * (1 - (number + 1) / self._runs)
        at = self.now - age - timedelta(seconds=3)
        run = run_id(at, number.to_bytes(10, "big"))
        open_ = number >= self._runs - 40
        failed = not open_ and chance.random() < 0.02
        tenant, pipeline = chance.choice(_TENANTS), chance.choice(_PIPELINES)
        if number % max(self._runs // 500, 1) == 0:
            self.some_runs.append(run)
        state = "running" if open_ else "failed" if failed else "succeeded"
        broken = chance.randrange(1, 6) if failed else 7
        yield tables.run, self._run_row(run, number, tenant, pipeline, state, at)
        yield tables.event, _event(run, None, at, None, "running")
        for place, stage in enumerate(STAGES):
            yield from self._task(run, stage, place, at, broken, open_=open_)
        if not open_:
            yield tables.event, _event(run, None, at + timedelta(seconds=8), "running", state)

    def _run_row(
        self, run: str, number: int, tenant: str, pipeline: str, state: str, at: datetime
    ) -> dict[str, Any]:
        request = RunRequest(
            pipeline=pipeline,
            parameters={"client": f"client-{number % 5000}"},
            scope=Scope(tenant=tenant),
            requester="it",
            key=f"it-{number}",
        )
        return {
            "run": run,
            "tenant": tenant,
            "request_key": f"it-{number}",
            "pipeline": pipeline,
            "requester": "it",
            "state": state,
            "failing": "failed" if state == "failed" else None,
            "cancel_requested": False,
            "tasks": 7,
            "open_tasks": 5 if state == "running" else 0,
            "submitted": at,
            "ended": None if state == "running" else at + timedelta(seconds=8),
            "deadline": at + timedelta(days=1),
            "traceparent": f"00-{_trace(run)}-b7ad6b7169203331-01",
            "request": request.model_dump_json(),
            "graph": self._graph,
            "admitted": self._admitted,
            "lane_limits": {},
        }

    def _task(
        self, run: str, stage: str, place: int, at: datetime, broken: int, *, open_: bool
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        task = task_id(run, stage, "")
        if place == 3 < broken and not open_ and run in self.some_runs:
            self.some_tasks.append(task)
        done = place < (2 if open_ else broken)
        state = "succeeded" if done else "failed" if place == broken else "cancelled"
        if open_ and not done:
            state = ("running", "queued", "retrying")[place % 3] if place < 5 else "waiting"
        started = at + timedelta(seconds=place)
        ran = state in ("succeeded", "failed", "running", "retrying")
        ended = started + timedelta(seconds=0.8) if state not in _OPEN else None
        cause = self._chance.choice(_CAUSES)
        fault = {"kind": "bad_input", "code": cause, "message": f"{cause}: {run[-6:]}"}
        fingerprint = hashlib.sha256(cause.encode()).hexdigest()[:16]
        if state == "failed":
            self.groups.add(fingerprint)
        of_state = fault if state == "failed" else None
        yield (
            tables.task,
            {
                "task": task,
                "run": run,
                "stage": stage,
                "partition": "",
                "kind": f"{stage}.sql",
                "version": 1,
                "lane": stage,
                "payload": '{"table":"claims"}',
                "state": state,
                "pending": 1 if state == "waiting" else 0,
                "attempt": 1,
                "max_attempts": 4,
                "epoch": 1,
                "queued": started,
                "worker": "worker-1" if ran else None,
                "lease_until": self.now + timedelta(minutes=5) if state == "running" else None,
                "started": started if ran else None,
                "ended": ended,
                "deadline": at + timedelta(days=1),
                "fault": of_state,
                "fingerprint": None if of_state is None else fingerprint,
            },
        )
        yield tables.event, _event(run, task, started, "waiting", "queued")
        if not ran:
            return
        yield from self._attempt(run, task, state, started, ended, of_state)
        if ended is not None:
            yield from _spans(run, task, stage, started, of_state)
        if state == "succeeded":
            yield tables.event, _event(run, task, started, "running", "succeeded")
            yield from self._files(run, task, stage, place, started)

    def _attempt(
        self,
        run: str,
        task: str,
        state: str,
        started: datetime,
        ended: datetime | None,
        fault: dict[str, str] | None,
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        """One that was begun, and the decision that let it."""
        yield tables.event, _event(run, task, started, "queued", "running")
        yield (
            tables.attempt,
            {
                "task": task,
                "epoch": 1,
                "number": 1,
                "worker": "worker-1",
                "state": state,
                "started": started,
                "ended": ended,
                "fault": fault,
                "facts": {"rows": 3},
                "traceparent": f"00-{_trace(run)}-b7ad6b7169203331-01",
            },
        )
        yield (
            tables.decision,
            {
                "task": task,
                "epoch": 1,
                "position": 0,
                "recorded": started,
                "decision": self._decision.model_dump_json(),
            },
        )

    def _files(
        self, run: str, task: str, stage: str, place: int, at: datetime
    ) -> Iterator[tuple[Table, dict[str, Any]]]:
        pointer = ArtifactPointer(
            name=f"{stage}.json",
            digest=self._digest,
            size=self._size,
            media_type="application/json",
            rows=3,
            tier=Tier.SILVER,
            scope=Scope(tenant="acme"),
            provenance=Provenance(run=run, stage=stage, attempt=1, code="fleet 0.1.0"),
        ).model_dump_json()
        yield (
            tables.output,
            {
                "task": task,
                "epoch": 1,
                "position": 0,
                "run": run,
                "stage": stage,
                "partition": "",
                "produced": True,
                "name": f"{stage}.json",
                "recorded": at,
                "pointer": pointer,
            },
        )
        if place:
            yield tables.input_, {"task": task, "epoch": 1, "position": 0, "pointer": pointer}


def _trace(run: str) -> str:
    return run.replace("-", "")


def _spans(
    run: str, task: str, stage: str, started: datetime, fault: dict[str, str] | None
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """A delivery's three; what failed has a log line as well."""
    first = int(started.timestamp() * 1e9)
    lines: dict[str, Any] = {}
    if fault is not None:
        told = {"level": "warning", "logger": "workers.guard", "message": fault["message"]}
        lines = {"leaf.logs": [{"at": first, **told, "stack": "\n".join(["module.f:1"] * 12)}]}
    whole, within, settled = (f"{n:04x}{task[-12:]}" for n in range(3))
    of_queue = {
        "messaging.system": "servicebus",
        "messaging.destination.name": f"lane-{stage}",
        "leaf.run": run,
        "leaf.task": task,
    }
    spans: list[tuple[str, str, str, str | None, int, int, dict[str, Any]]] = [
        ("process", f"process lane-{stage}", whole, None, 0, 790, {"leaf.attempt": 1} | of_queue),
        ("run", f"run {stage}.sql", within, whole, 40, 700, lines),
        ("settle", f"settle lane-{stage}", settled, whole, 785, 789, of_queue),
    ]
    for kind, name, span, above, begin, end, attributes in spans:
        yield (
            tables.span,
            {
                "trace_id": _trace(run),
                "span_id": span,
                "parent_id": above,
                "name": name,
                "kind": "consumer" if kind == "process" else "internal",
                "start_ns": first + begin * 1_000_000,
                "end_ns": first + end * 1_000_000,
                "status": "unset",
                "attributes": attributes,
                "run": run,
                "task": task,
            },
        )


_OPEN = ("running", "queued", "retrying", "waiting")


def _event(run: str, task: str | None, at: datetime, old: str | None, new: str) -> dict[str, Any]:
    return {
        "at": at,
        "run": run,
        "task": task,
        "actor": "worker-1",
        "old": old,
        "new": new,
        "detail": "attempt 1",
    }
