"""Small runs, and a worker that carries them out against a real ledger in a file."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.artifact import ArtifactPointer, Provenance, Scope, Tier
from contracts.decision import Cause, Decision, Gate, Reason, Verdict
from contracts.envelope import Envelope
from contracts.ids import run_id
from contracts.outcome import Fault, FaultKind
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Claim, Claimed, LaneLimits, NewRun, NotClaimed, Record, Recorded

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SCOPE = Scope(tenant="acme")
FAULT = Fault(kind=FaultKind.PERMANENT, code="source.gone", message="the table is not there")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_numbers = itertools.count()


def later(**units: float) -> datetime:
    return NOW + timedelta(**units)


def a_decision(verdict: Verdict = Verdict.ALLOW, gate: Gate = Gate.EXECUTE) -> Decision:
    allowed = verdict is Verdict.ALLOW
    return Decision(
        gate=gate,
        verdict=verdict,
        cause=Cause.PERMIT if allowed else Cause.FORBID,
        reasons=(Reason(rule="lane.mirror", text="the lane serves this tenant"),),
        facts={"tenant": "acme"},
        facts_digest="0" * 64,
        bundle="1" * 64,
        generation=7,
    )


def a_stage(name: str, **more: Any) -> StagePlan:
    return StagePlan(
        name=name,
        **{"kind": f"test.{name}", "version": 1, "lane": "mirror", "payload": {}} | more,
    )


def a_graph(*stages: StagePlan) -> RunGraph:
    return RunGraph(stages=stages)


CHAIN = a_graph(a_stage("first"), a_stage("second", needs=("first",)))

FAN = a_graph(
    a_stage("list"),
    a_stage("fetch", needs=("list",), discovered_by="list", payload={"of": "${partition}"}),
    a_stage("clean", needs=("fetch",), discovered_by="list"),
    a_stage("gather", needs=("clean", "list")),
)


def a_run(graph: RunGraph = CHAIN, *, key: str | None = None, **more: Any) -> NewRun:
    given = {
        "run": run_id(NOW, next(_numbers).to_bytes(10)),
        "request": RunRequest(pipeline="sales", scope=SCOPE, requester="ada", key=key),
        "graph": graph,
        "admitted": a_decision(gate=Gate.ADMIT),
        "submitted": NOW,
        "deadline": later(hours=2),
        "lane_limits": {"mirror": LaneLimits(max_attempts=3)},
    }
    return NewRun(**given | more)


def a_pointer(
    name: str = "rows.parquet", *, stage: str = "first", run: str = "r"
) -> ArtifactPointer:
    return ArtifactPointer(
        name=name,
        digest="a" * 64,
        size=12,
        media_type="application/vnd.apache.parquet",
        tier=Tier.BRONZE,
        scope=SCOPE,
        provenance=Provenance(run=run, stage=stage, attempt=1, code="1.0"),
    )


def a_claim(envelope: Envelope, worker: str = "w1", now: datetime = NOW) -> Claim:
    return Claim(
        task=envelope.task,
        attempt=envelope.attempt,
        worker=worker,
        now=now,
        lease_until=now + timedelta(seconds=30),
    )


async def promised(ledger: Ledger, run: str | None = None) -> list[Envelope]:
    """What the outbox holds; noted as relayed."""
    rows = await ledger.due_outbox(100_000, later(days=30), run)
    await ledger.mark_relayed([row.seq for row in rows], NOW)
    return [row.envelope for row in rows]


async def claimed(
    ledger: Ledger, envelope: Envelope, worker: str = "w1", now: datetime = NOW
) -> Claimed:
    answer = await ledger.claim(a_claim(envelope, worker, now))
    assert isinstance(answer, Claimed), answer
    return answer


def a_record(claim: Claimed, state: State = State.SUCCEEDED, **more: Any) -> Record:
    given: dict[str, Any] = {
        "task": claim.task,
        "epoch": claim.epoch,
        "worker": "w1",
        "now": NOW,
        "state": state,
    }
    if state in {State.FAILED, State.DEAD, State.DENIED, State.RETRYING}:
        given["fault"] = FAULT
    return Record(**given | more)


async def carried_out(
    ledger: Ledger, envelope: Envelope, state: State = State.SUCCEEDED, **more: Any
) -> Recorded:
    """Claim and record one attempt."""
    return await ledger.record(a_record(await claimed(ledger, envelope), state, **more))


def one_output(envelope: Envelope) -> dict[str, Any]:
    """An output named after its place."""
    name = f"{envelope.stage}-{envelope.partition or 'all'}.csv"
    return {
        "outputs": (a_pointer(name, stage=envelope.stage, run=envelope.run),),
        "inputs": tuple(p for pointers in envelope.body.inputs.values() for p in pointers),
    }


async def finished(
    ledger: Ledger, run: str, outcome: Callable[[Envelope], dict[str, Any]] = one_output
) -> list[Envelope]:
    """Carry out what a run promises, all at once, until it promises nothing more; the envelopes."""
    seen: list[Envelope] = []
    while envelopes := await promised(ledger, run):
        await asyncio.gather(*[carried_out(ledger, one, **outcome(one)) for one in envelopes])
        seen += envelopes
    return seen


def listing(*partitions: str) -> Callable[[Envelope], dict[str, Any]]:
    """Outcomes where the stage `list` discovers these partitions."""

    def outcome(envelope: Envelope) -> dict[str, Any]:
        found = {"partitions": partitions} if envelope.stage == "list" else {}
        return one_output(envelope) | found

    return outcome


def refused(answer: Claimed | NotClaimed) -> NotClaimed:
    assert isinstance(answer, NotClaimed), answer
    return answer
