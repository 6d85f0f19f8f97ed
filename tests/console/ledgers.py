"""Ledgers with runs in them, made through the ledger itself: what the console looks at."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contracts.artifact import ArtifactPointer, Audience, Provenance, Scope, Tier
from contracts.decision import Cause, Decision, Gate, Reason, Verdict
from contracts.fact import JsonObject
from contracts.ids import run_id, task_id
from contracts.outcome import Fault, FaultKind
from contracts.plan import RunGraph, StagePlan
from contracts.request import Parameter, RunRequest
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import (
    ApprovalAsked,
    Claim,
    Claimed,
    DeadLetter,
    NewRedrive,
    NewRun,
    Record,
    Selection,
    SpanRow,
)
from fleet.ledger.votes import Vote

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
SCOPE = Scope(tenant="acme")
HOSTILE = "bad \x1b[2Jbytes [red]not markup[/red]"
"""Words that try to steer a terminal, and to be taken for this program's own markup."""

GRAPH = RunGraph(
    stages=(
        StagePlan(name="mirror", kind="mirror.sql", version=1, lane="mirror", payload={}),
        StagePlan(
            name="typed",
            kind="normalize.sql",
            version=1,
            lane="normalize",
            payload={},
            needs=("mirror",),
            partitions=("2024-01", "2024-02"),
        ),
        StagePlan(
            name="packet",
            kind="publish.packet",
            version=1,
            lane="publish",
            payload={},
            needs=("typed",),
        ),
    )
)


class Home:
    """A FLEET_HOME with a ledger and an artifact store, and no stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FolderStore(folder / "artifacts")
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.now = NOW
        self.words = HOSTILE
        """Of the faults."""
        self.audience = Audience.INTERNAL
        """Of what is curated."""
        self.packet: bytes | None = None
        """The bytes of what is curated; else some that say where they are from."""
        self.facts: JsonObject = {}
        """Of the execute decisions."""
        self.parameters: dict[str, Parameter] = {}
        self.requester = "ada"

    def run(self, number: int, *, broken: bool = False, denied: bool = False) -> str:
        """A run that succeeded; one whose second stage failed; or one that was denied."""
        return asyncio.run(self._ran(number, broken=broken, denied=denied))

    def held(self, number: int) -> str:
        """A run whose first task waits for people, one of whom has said a word."""
        return asyncio.run(self._held(number))

    def acts(self, run: str) -> None:
        """Somebody redrives what stands dead, and cancels a run."""
        asyncio.run(self._acted(run))

    def pass_time(self, seconds: float) -> None:
        """It is so much later."""
        self.now += timedelta(seconds=seconds)

    def dead_letter(self, reason: str) -> None:
        """A message that nobody could take."""
        asyncio.run(self._dead_lettered(reason))

    def worker(self, name: str, *lanes: str) -> None:
        """A worker that has just been heard of."""
        asyncio.run(self._seen(name, lanes))

    async def _seen(self, name: str, lanes: tuple[str, ...]) -> None:
        async with await Ledger.open(self.url) as ledger:
            await ledger.worker_seen(name, lanes, datetime.now(UTC), {"left_behind": 0})

    async def _ran(self, number: int, *, broken: bool, denied: bool) -> str:
        run = run_id(self.now + timedelta(minutes=number), bytes([number]) * 10)
        async with await Ledger.open(self.url) as ledger:
            await ledger.start_run(self._new(run, denied=denied))
            if denied:
                return run
            await self._done(ledger, run, "mirror")
            await self._done(ledger, run, "typed", "2024-01")
            if broken:
                await self._failed(ledger, run, "typed", "2024-02")
                return run
            await self._done(ledger, run, "typed", "2024-02")
            await self._done(ledger, run, "packet")
        return run

    async def _held(self, number: int) -> str:
        run = run_id(self.now + timedelta(minutes=number), bytes([number]) * 10)
        digest = hashlib.sha256(b"asked").hexdigest()
        async with await Ledger.open(self.url) as ledger:
            await ledger.start_run(self._new(run, denied=False))
            claimed = await self._claimed(ledger, run, "mirror", "")
            asks = ApprovalAsked(
                digest=digest, reasons=self.words, expires=self.now + timedelta(days=1)
            )
            held = Record(
                task=claimed.task,
                epoch=claimed.epoch,
                worker="worker-a",
                now=self.now,
                state=State.HELD,
                asks=asks,
            )
            await ledger.record(held)
            word = Vote(
                task=claimed.task,
                digest=digest,
                person=self.requester + "-2",
                approves=True,
                comment=self.words,
                now=self.now,
            )
            await ledger.vote(word)
        return run

    async def _acted(self, run: str) -> None:
        async with await Ledger.open(self.url) as ledger:
            await ledger.start_redrive(
                NewRedrive(
                    job=run_id(self.now, b"\1" * 10),
                    selection=Selection(everything=True),
                    actor=self.requester,
                    reason=self.words,
                    now=self.now,
                )
            )
            await ledger.cancel_run(run, self.requester, self.words, self.now)

    async def _dead_lettered(self, reason: str) -> None:
        async with await Ledger.open(self.url) as ledger:
            await ledger.dead_letter(
                DeadLetter(
                    queue="lane-mirror",
                    message_id="m-1",
                    sequence_number=7,
                    disposition="dead",
                    reason="malformed",
                    description=reason,
                    size=12,
                    at=NOW,
                )
            )

    def _new(self, run: str, *, denied: bool) -> NewRun:
        return NewRun(
            run=run,
            request=RunRequest(
                pipeline="guarantee_report",
                parameters=self.parameters,
                scope=SCOPE,
                requester=self.requester,
            ),
            graph=GRAPH,
            admitted=a_decision(Gate.ADMIT, denied=denied),
            submitted=self.now,
            deadline=self.now + timedelta(hours=1),
            traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
        )

    async def _claimed(self, ledger: Ledger, run: str, stage: str, partition: str) -> Claimed:
        self.now += timedelta(seconds=1)
        claimed = await ledger.claim(
            Claim(
                task=task_id(run, stage, partition),
                attempt=1,
                worker="worker-a",
                now=self.now,
                lease_until=self.now + timedelta(minutes=1),
            )
        )
        assert isinstance(claimed, Claimed)
        self.now += timedelta(seconds=1)
        return claimed

    async def _done(self, ledger: Ledger, run: str, stage: str, partition: str = "") -> None:
        claimed = await self._claimed(ledger, run, stage, partition)
        pointer = self._stored(run, stage, partition)
        await ledger.record(
            Record(
                task=claimed.task,
                epoch=claimed.epoch,
                worker="worker-a",
                now=self.now,
                state=State.SUCCEEDED,
                outputs=(pointer,),
                decisions=(a_decision(Gate.EXECUTE, facts=self.facts),),
                facts={"rows": 3} | self.facts,
                traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
            )
        )
        await ledger.add_spans(self._spans(run, claimed.task, stage))

    async def _failed(self, ledger: Ledger, run: str, stage: str, partition: str) -> None:
        claimed = await self._claimed(ledger, run, stage, partition)
        fault = Fault(kind=FaultKind.BAD_INPUT, code="rules.broken", message=self.words)
        await ledger.record(
            Record(
                task=claimed.task,
                epoch=claimed.epoch,
                worker="worker-a",
                now=self.now,
                state=State.FAILED,
                fault=fault,
            )
        )

    def _spans(self, run: str, task: str, stage: str) -> list[SpanRow]:
        """The delivery's, a second long, and within it the handler's, which logged something."""
        ids = hashlib.sha256(task.encode()).hexdigest()
        end = int(self.now.timestamp()) * 10**9
        whole = SpanRow(
            trace_id=TRACE,
            span_id=ids[:16],
            name=f"process lane-{stage}",
            kind="consumer",
            start_ns=end - 10**9,
            end_ns=end,
            attributes={"leaf.attempt": 1},
            run=run,
            task=task,
        )
        line = {"at": end, "level": "info", "logger": "acme", "message": f"read it; {self.words}"}
        within = {
            "span_id": ids[16:32],
            "parent_id": whole.span_id,
            "name": f"run {stage}",
            "attributes": {"leaf.logs": [line]},
            "start_ns": end - 10**9 // 2,
        }
        return [whole, whole.model_copy(update=within)]

    def _stored(self, run: str, stage: str, partition: str) -> ArtifactPointer:
        tier = Tier.CURATED if stage == "packet" else Tier.SILVER
        data = f"{stage} {partition}".encode()
        if tier is Tier.CURATED and self.packet is not None:
            data = self.packet
        stored = self.store.put_bytes(tier, data)
        return ArtifactPointer(
            name=f"{stage}.json",
            digest=stored.digest,
            size=stored.size,
            media_type="application/json",
            rows=3,
            tier=tier,
            scope=Scope(
                tenant=SCOPE.tenant,
                audience=self.audience if tier is Tier.CURATED else Audience.INTERNAL,
            ),
            provenance=Provenance(
                run=run, stage=stage, partition=partition, attempt=1, code="fleet 0.1.0"
            ),
        )


def a_decision(gate: Gate, *, denied: bool = False, facts: JsonObject | None = None) -> Decision:
    rule = "guardrail.mutation" if denied else "permit.lane"
    return Decision(
        gate=gate,
        verdict=Verdict.DENY if denied else Verdict.ALLOW,
        cause=Cause.FORBID if denied else Cause.PERMIT,
        reasons=(Reason(rule=rule, text="this is why"),),
        facts=facts or {},
        facts_digest=hashlib.sha256(f"{gate} facts".encode()).hexdigest(),
        bundle=hashlib.sha256(b"bundle").hexdigest(),
    )
