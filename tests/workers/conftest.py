"""A small fleet in one process: real bus, ledger, store and gate; handlers that tests write."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import policies
from contracts.artifact import Audience, Scope, Tier
from contracts.lane import Lane, LaneTable, Mode, RetryRules
from contracts.outcome import Failed, Output, Produced
from contracts.payload import Payload, PayloadRegistry
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import Bus, open_bus
from fleet.bus.receiver import Delivery, Room
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import LaneLimits, NewRun, TaskDetail
from fleet.relay import relay
from localbus.testing import RunningBus, running_bus
from policies.bundle import load_bundle
from policies.facts import AdmitFacts
from policies.gate import PolicyGate
from workers.executor import work
from workers.leases import LeaseKeeper
from workers.relays import Relays
from workers.runner import HandlerRunner
from workers.site import Site
from workers.stages.handler import StageHandler, Workbench

PATIENCE = 30.0
RUN = "0190f3a2-0000-7000-8000-000000000001"


class Step(Payload):
    """A stage whose handler the test writes."""

    KIND: ClassVar[str] = "test.step"

    word: str = "hello"


class BusClock:
    """The time of the test's bus, so that locks, leases and schedules move together."""

    def __init__(self, broker: RunningBus) -> None:
        self._broker = broker

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._broker.clock.now_ms() / 1000, UTC)

    async def advance(self, seconds: float) -> None:
        """On a thread: the bus tells its own loop and waits for it."""
        await asyncio.to_thread(self._broker.clock.advance, seconds)


def writes_a_file(bench: Workbench) -> Produced | Failed:
    """The plainest handler: one output from the payload."""
    assert isinstance(bench.payload, Step)
    path = bench.scratch / "out.txt"
    path.write_text(bench.payload.word)
    output = Output(name="out.txt", path=path, media_type="text/plain", tier=Tier.SILVER)
    return Produced(outputs=(output,), facts={"letters": len(bench.payload.word)})


@dataclass
class Fleet:
    """What a test drives: one lane, one worker, one run of two stages."""

    site: Site
    lane: Lane
    clock: BusClock
    broker: RunningBus
    reader: LedgerReader
    spans: InMemorySpanExporter

    def handle(self, handler: Callable[[Workbench], object], mode: Mode = Mode.THREAD) -> None:
        """From now on `handler` carries out the stages, in `mode`."""
        self.lane = self.lane.model_copy(update={"mode": mode})
        stage = StageHandler(payload=Step, run=handler)  # type: ignore[arg-type]  # either kind
        self.site = replace(self.site, handlers={("test.step", 1): stage})

    async def start(
        self,
        *stages: StagePlan,
        run: str = RUN,
        priority: int = 5,
        traceparent: str | None = None,
    ) -> None:
        """Start a run and put its first envelopes on the bus."""
        scope = Scope(tenant="acme", audience=Audience.TENANT)
        request = RunRequest(
            pipeline="test", scope=scope, requester="ada@example.com", priority=priority
        )
        admitted = self.site.gate.decide(
            AdmitFacts(
                pipeline="test",
                tenant=scope.tenant,
                audience=scope.audience,
                requester=request.requester,
                flags=(),
                priority=request.priority,
                kinds=("test.step",),
                mutating_kinds=(),
                over=(),
                approvers=(),
            )
        )
        await self.site.ledger.start_run(
            NewRun(
                run=run,
                request=request,
                graph=RunGraph(stages=stages or (a_stage("first"), a_stage("second", "first"))),
                admitted=admitted,
                submitted=self.clock.now(),
                deadline=self.clock.now() + timedelta(days=1),
                traceparent=traceparent,
                lane_limits={"test": LaneLimits(max_attempts=self.lane.retry.max_attempts)},
            )
        )
        await self.relay()

    async def relay(self, most: int = 100) -> int:
        """What the dispatcher does: relay what is due."""
        due = await self.site.ledger.due_outbox(most, self.clock.now() + timedelta(seconds=1))
        await relay(due, self.site.bus, self.site.ledger, self.clock)
        return len(due)

    async def deliver(self, carry: Callable[[Delivery], Awaitable[None]] | None = None) -> None:
        """Take one delivery of the lane and carry it through `work`."""
        stop, room = asyncio.Event(), Room(1)
        taken = self.site.bus.deliveries(self.lane.queue, room, stop)
        delivery = await asyncio.wait_for(anext(taken), PATIENCE)
        try:
            async with self.site.relays.kept():
                if carry is None:
                    await work(delivery, self.lane, self.site)
                else:
                    await carry(delivery)
        finally:
            stop.set()
            room.give_back()
            assert await anext(taken, None) is None

    def task(self, stage: str) -> TaskDetail:
        (row,) = (row for row in self.reader.tasks(RUN) if row.stage == stage)
        return self.reader.task(row.task)


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; fails after a while."""
    never = asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        while not holds():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), 0.02)


def a_stage(name: str, *needs: str, **payload: str) -> StagePlan:
    return StagePlan(
        name=name, kind="test.step", version=1, lane="test", needs=needs, payload={**payload}
    )


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    lane = Lane(
        name="test",
        kinds=("test.step",),
        concurrency=1,
        timeout=20,
        lease=30,
        retry=RetryRules(max_attempts=2, first_delay=30),
    )
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with AsyncExitStack() as opened:
        broker = opened.enter_context(running_bus(tmp_path / "bus", queues=[lane.queue]))
        clock = BusClock(broker)
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
        ledger = await opened.enter_async_context(await Ledger.open(url))
        store = FolderStore(tmp_path / "artifacts")
        bus: Bus = await opened.enter_async_context(open_bus(broker.connection_string, store))
        runner = HandlerRunner(processes=1, grace=1.0)
        opened.callback(runner.close)
        reader = LedgerReader(url)
        opened.callback(reader.close)
        rules = Path(policies.__file__).parent / "rules"
        site = Site(
            worker="worker-1",
            bus=bus,
            ledger=ledger,
            store=store,
            gate=PolicyGate(load_bundle(rules, LaneTable([lane]))),
            registry=PayloadRegistry([Step]),
            handlers={("test.step", 1): StageHandler(payload=Step, run=writes_a_file)},
            leases=LeaseKeeper(ledger, clock),
            relays=Relays(bus, ledger, clock),
            runner=runner,
            clock=clock,
            chance=random.Random(7).random,
            tracer=provider.get_tracer("test"),
            sources_file=tmp_path / "sources.toml",
            scratch=tmp_path / "scratch",
            code_version="test",
        )
        yield Fleet(site, lane, clock, broker, reader, spans)
