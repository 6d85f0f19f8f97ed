"""One seed's story: a run, two workers, a dispatcher, and what goes wrong, all by chance.

The workers are `workers.worker.serve`, the dispatcher's loops are its own; what is simulated is
below them (broker, writer thread, time) and beside them (handlers, faults).
"""

import asyncio
import contextlib
import functools
import hashlib
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from opentelemetry.trace import NoOpTracer
from sqlalchemy import Connection, Engine, text

import policies
from contracts.artifact import Audience, Scope, Tier
from contracts.ids import run_id
from contracts.lane import Lane, LaneTable, Mode, RetryRules
from contracts.outcome import Failed, FaultKind, Output, Produced
from contracts.payload import Payload, PayloadRegistry
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from contracts.states import FINAL, State
from dispatcher.relay import OutboxRelay
from dispatcher.sweeper import Sweeper
from dispatcher.waker import Waker
from fleet.artifacts.store import Stored
from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause
from fleet.ledger.rows import LaneLimits, NewRun
from policies.bundle import load_bundle
from policies.facts import AdmitFacts
from policies.gate import PolicyGate
from tests.simulation.broker import Broker, BrokerFaults, SimBus, SimDelivery
from tests.simulation.flow import FlowPlan, How, a_flow
from tests.simulation.invariants import OPERATOR, Broken, always, at_the_end, in_flow
from tests.simulation.ledger import LedgerFaults, SimWriter, a_ledger, raw
from tests.simulation.life import START, Gone, Life
from workers.faultpoints import POINTS
from workers.flow import Flow
from workers.leases import LeaseKeeper
from workers.relays import Relays
from workers.runner import HandlerRunner
from workers.site import Site
from workers.stages.handler import StageFault, StageHandler, Workbench
from workers.worker import serve

LANE = Lane(
    name="sim",
    kinds=("sim.step",),
    mode=Mode.ASYNC,
    concurrency=3,
    timeout=200,
    lease=30,
    retry=RetryRules(max_attempts=60, first_delay=1, factor=2, longest_delay=20),
)
_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where handlers write, if there is such a place: removing a folder on a busy disk takes longer
than the rest of an attempt."""
_HORIZON = 4 * 3600.0
"""Seconds after which a run that has not ended never will."""
_HEARTBEAT = 30.0
"""Seconds; a worker that says nothing for 60 is gone."""
_FLOW = 20.0
"""Seconds between two looks at the flow, and between two of the waker's; 1 in a real fleet."""
_QUIET = 40.0
"""Seconds after the end in which late and doubled messages may still do harm."""


class Step(Payload):
    """A stage whose handler is chance."""

    KIND: ClassVar[str] = "sim.step"

    stage: str
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is asked, and how much goes wrong. Chances; times in seconds."""

    graph: RunGraph
    partitions: tuple[str, ...]
    broker: BrokerFaults = field(default_factory=BrokerFaults)
    ledger: LedgerFaults = field(default_factory=LedgerFaults)
    crash_every: float = 0.0
    """The mean life of a process; 0: it lives on."""
    crash_at_point: float = 0.0
    """The chance of a worker's start that it dies at one of the executor's points."""
    stall: float = 0.0
    """The chance of a process's life that it is stopped for longer than a lease."""
    jump: float = 0.0
    """The chance of a process's life that its clock jumps."""
    transient: float = 0.0
    bad_input: float = 0.0
    cancelled_after: float | None = None
    shortest_work: float = 0.0
    longest_work: float = 60.0
    lock_every: float | None = None
    lane: Lane = LANE
    flow: FlowPlan = field(default_factory=FlowPlan)

    @property
    def must_succeed(self) -> bool:
        return self.bad_input == 0 and self.cancelled_after is None

    @property
    def expected(self) -> dict[str, set[str]] | None:
        """Partitions by stage, of a run that succeeds."""
        if not self.must_succeed:
            return None
        found = {
            stage.name: set(self.partitions) if stage.discovered_by else {""}
            for stage in self.graph.stages
        }
        return {stage: partitions for stage, partitions in found.items() if partitions}


@dataclass(slots=True)
class Told:
    """What a story came to."""

    state: State
    virtual_seconds: float
    ran: Counter[str]
    """How often each handler began, by stage and partition."""
    at_once: int
    """The most handlers of one task that ran at the same time."""
    lost_locks: int
    faults: Counter[str]
    digest: str
    """Of all events: the same seed tells the same story."""


def a_story(seed: int) -> Story:
    """The story of a seed: its graph and its share of each kind of trouble."""
    chance, flow = Random(f"story {seed}"), a_flow(seed)

    def often(most: float) -> float:
        return chance.choice([0.0, most / 4, most])

    return Story(
        graph=chance.choice([_CHAIN, _FAN, _FAN]),
        partitions=tuple("abcd"[: chance.choice([0, 1, 2, 3])]),
        broker=BrokerFaults(
            lock_lost=often(0.3),
            doubled=often(0.2),
            reordered=often(0.5),
            reply_lost=often(0.15),
            away=often(0.15),
        ),
        ledger=LedgerFaults(rolled_back=often(0.1), answer_lost=often(0.05), busy=often(0.05)),
        crash_every=chance.choice([0.0, 40.0, 120.0]),
        crash_at_point=often(0.6),
        stall=often(0.8),
        jump=often(0.3),
        transient=often(0.3),
        bad_input=chance.choice([0.0] * 9 + [0.2]),
        cancelled_after=chance.choice([None] * 11 + [chance.uniform(1, 120)]),
        longest_work=chance.choice([2.0, 10.0, 70.0]),
        lane=LANE.model_copy(update={"limits": flow.limits}) if flow.limits else LANE,
        flow=flow,
    )


def a_step(name: str, *needs: str, **more: Any) -> StagePlan:
    given = {"kind": "sim.step", "version": 1, "lane": "sim", "needs": needs}
    return StagePlan(name=name, **given | {"payload": {"stage": name}} | more)


_CHAIN = RunGraph(stages=(a_step("first"), a_step("second", "first")))
_EACH = {"discovered_by": "list"}
_FAN = RunGraph(
    stages=(
        a_step("list"),
        a_step("fetch", "list", payload={"stage": "fetch", "of": "${partition}"}, **_EACH),
        a_step("clean", "fetch", payload={"stage": "clean", "of": "${partition}"}, **_EACH),
        a_step("gather", "clean", "list"),
    )
)


@functools.cache
def _gate() -> PolicyGate:
    rules = Path(policies.__file__).parent / "rules"
    return PolicyGate(load_bundle(rules, LaneTable([LANE])))


class _Shelf:
    """A store that remembers digests only: nobody reads the bytes here."""

    def put_file(self, tier: Tier, path: Path) -> Stored:
        data = path.read_bytes()
        return Stored(digest=hashlib.sha256(data).hexdigest(), size=len(data))

    def local_path(self, pointer: Any) -> Path:
        return Path(pointer.name)


@dataclass(slots=True)
class World:
    """One story being told."""

    seed: int
    story: Story
    engine: Engine
    horizon: float = _HORIZON
    sweeps: bool = True
    """False: a planted bug."""
    wakes: bool = True
    """False: a planted bug."""
    ledger_of: type[Ledger] | None = None
    """A planted bug: a ledger that does things in another order, or leaves some out."""
    ran: Counter[str] = field(default_factory=Counter)
    running: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    chance: Random = field(default_factory=Random)
    broker: Broker = field(init=False)
    calm: bool = False
    """Nothing goes wrong any more."""
    ended: asyncio.Event = field(init=False)
    died: list[BaseException] = field(default_factory=list)
    keepers: dict[str, LeaseKeeper] = field(default_factory=dict)
    pauses: list[range] = field(default_factory=list)
    """By the numbers of events: those that were written during a pause."""
    _lives: int = 0
    _commits: int = 0

    async def told(self) -> Told:
        """Tell it to its end. Raises Broken."""
        self.chance = Random(f"world {self.seed}")
        self.broker = Broker(self.chance, self.story.broker, lock_every=self.story.lock_every)
        self.ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        with tempfile.TemporaryDirectory(prefix="sim", dir=_IN_MEMORY) as folder:
            fleet = [
                asyncio.create_task(self._again_and_again(self._dispatcher)),
                asyncio.create_task(self._again_and_again(self._worker, Path(folder))),
                asyncio.create_task(self._again_and_again(self._worker, Path(folder))),
            ]
            try:
                await self._start()
                fleet.append(asyncio.create_task(self._pauses()))
                if self.story.cancelled_after is not None:
                    await self._cancel(self.story.cancelled_after)
                try:
                    await asyncio.wait_for(self.ended.wait(), self.horizon)
                except TimeoutError:
                    with self.engine.connect() as connection:
                        rows = connection.execute(
                            text("SELECT stage, partition, state, attempt, epoch FROM task")
                        ).all()
                    raise Broken(f"the run never ended: {rows}") from None
                ended_at = loop.time()
                self.calm = True
                await asyncio.sleep(_QUIET)
            finally:
                for task in fleet:
                    task.cancel()
                await asyncio.gather(*fleet, return_exceptions=True)
        if self.died:
            if isinstance(self.died[0], Broken):
                raise self.died[0]
            raise Broken(f"a process died by itself: {self.died[0]!r}") from self.died[0]
        with self.engine.connect() as connection:
            at_the_end(connection, self.story.expected, self.pauses)
            state = State(connection.execute(text("SELECT state FROM run")).scalar_one())
            events = connection.execute(
                text("SELECT at, task, actor, old, new, detail FROM event ORDER BY seq")
            ).all()
        return Told(
            state=state,
            virtual_seconds=ended_at,
            ran=self.ran,
            at_once=self.at_once,
            lost_locks=self.broker.lost_locks,
            faults=self.faults,
            digest=hashlib.sha256(repr(events).encode()).hexdigest(),
        )

    # --- processes --------------------------------------------------------------------------------

    async def _again_and_again(self, process: Any, *given: Any) -> None:
        """A supervisor: starts a process again when it has ended, however it ended."""
        while True:
            self._lives += 1
            life = Life(name=f"p{self._lives}", chance=self.chance)
            stop = asyncio.Event()
            running = asyncio.create_task(process(life, stop, *given))
            trouble = asyncio.create_task(self._trouble(life, stop, running))
            try:
                await asyncio.wait({running})
            finally:
                life.dead = True
                for task in (trouble, running):
                    task.cancel()
                await asyncio.gather(trouble, running, return_exceptions=True)
            if not running.cancelled() and (why := running.exception()) is not None:
                self.died += [one for one in _leaves(why) if not isinstance(one, Gone)]
            await asyncio.sleep(self.chance.uniform(0.5, 10))

    async def _trouble(self, life: Life, stop: asyncio.Event, running: Any) -> None:
        """Kill, stop for a while, set the clock, or ask to stop, as the story has it."""
        story, chance = self.story, self.chance
        if self.calm:
            return
        loop = asyncio.get_running_loop()
        if chance.random() < story.jump:
            await asyncio.sleep(chance.uniform(0, 30))
            life.skew = chance.uniform(-60, 60)
            self.faults["clock jump"] += 1
        if chance.random() < story.stall:
            await asyncio.sleep(chance.uniform(0, 30))
            life.stopped_until = loop.time() + chance.uniform(20, 120)
            self.faults["stall"] += 1
        if not story.crash_every:
            return
        await asyncio.sleep(chance.expovariate(1 / story.crash_every))
        if self._is_calm():
            return
        if chance.random() < 0.5:
            self.faults["kill"] += 1
            life.dead = True
            running.cancel()
        else:
            self.faults["graceful stop"] += 1
            stop.set()
            self.broker.wake_at(loop.time())

    async def _worker(self, life: Life, stop: asyncio.Event, folder: Path) -> None:
        if not self.calm and self.chance.random() < self.story.crash_at_point:
            life.dies_at = self.chance.choice(POINTS)
            self.faults["kill at a point"] += 1
        ledger = self._ledger(life)
        keeper = self.keepers[life.name] = LeaseKeeper(ledger, life)
        if self.ledger_of is not None:
            ledger.__class__ = self.ledger_of
            ledger.keeper = keeper  # type: ignore[attr-defined]  # of the planted class
        bus: Any = SimBus(self.broker, life, self._settled)
        shelf: Any = _Shelf()
        handler = functools.partial(self._handle, life)
        site = Site(
            worker=life.name,
            bus=bus,
            ledger=ledger,
            store=shelf,
            gate=_gate(),
            registry=PayloadRegistry([Step]),
            handlers={("sim.step", 1): StageHandler(payload=Step, run=handler)},
            leases=keeper,
            relays=Relays(bus, ledger, life, life.point),
            runner=HandlerRunner(processes=1),
            clock=life,
            chance=self.chance.random,
            tracer=NoOpTracer(),
            sources_file=folder / "sources.toml",
            scratch=folder,
            code_version="sim",
            point=life.point,
        )
        flow = Flow(ledger, life, every=_FLOW) if self.story.flow.looked_after else None
        lanes = [self.story.lane]
        await serve(site, lanes, stop, grace=10.0, heartbeat=_HEARTBEAT, flow=flow)

    async def _dispatcher(self, life: Life, stop: asyncio.Event) -> None:
        ledger = self._ledger(life)
        bus: Any = SimBus(self.broker, life, self._settled)
        loops = [OutboxRelay(ledger, bus, life, every=10.0).loop]
        if self.sweeps:
            loops.append(Sweeper(ledger, life, every=30.0).loop)
        if self.wakes and self.story.flow.looked_after:
            loops.append(Waker(ledger, bus, life, every=_FLOW).loop)
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(loop.run(stop))

    def _ledger(self, life: Life) -> Ledger:
        faults = LedgerFaults() if self.calm else self.story.ledger
        return a_ledger(SimWriter(self.engine, life, self.chance, faults, self._committed))

    def _is_calm(self) -> bool:
        """Asked again after a pause: the type checker believes that nothing has changed since."""
        return self.calm

    # --- what happens -----------------------------------------------------------------------------

    async def _start(self) -> None:
        scope = Scope(tenant="acme", audience=Audience.TENANT)
        request = RunRequest(
            pipeline="sim",
            scope=scope,
            requester="ada@example.com",
            priority=self.story.flow.priority,
        )
        admitted = _gate().decide(
            AdmitFacts(
                pipeline="sim",
                tenant=scope.tenant,
                audience=scope.audience,
                requester=request.requester,
                flags=(),
                priority=request.priority,
                kinds=("sim.step",),
                mutating_kinds=(),
                over=(),
                approvers=(),
            )
        )
        new = NewRun(
            run=self._run,
            request=request,
            graph=self.story.graph,
            admitted=admitted,
            submitted=START,
            deadline=START + timedelta(days=2),
            lane_limits={"sim": LaneLimits(max_attempts=self.story.lane.retry.max_attempts)},
        )
        await self._calm_ledger().start_run(new)

    async def _cancel(self, after: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), after)
        how, now = self.story.flow.how, Life(name="operator", chance=self.chance).now()
        ledger = self._calm_ledger()
        with self.engine.connect() as connection:
            tasks = connection.execute(text("SELECT task FROM task ORDER BY task")).scalars().all()
        if how in (How.RUN, How.RUN_BY_FORCE):
            await ledger.cancel_run(self._run, OPERATOR, "not needed", now, force=how.force)
        else:
            task = self.chance.choice(tasks)
            await ledger.cancel_task(task, OPERATOR, "not needed", now, force=how.force)
        self.faults[f"cancelled: {how}"] += 1

    async def _pauses(self) -> None:
        """As an operator pauses and resumes; each lasts from its commit to that of its end."""
        for paused in self.story.flow.pauses:
            begun: list[int] = []
            await asyncio.sleep(paused.at)
            for resume in (False, True):
                ledger = self._calm_ledger(lambda c: begun.append(_events(c)))  # noqa: B023 - awaited
                now = Life(name="operator", chance=self.chance).now()
                await ledger.pause(
                    Pause(
                        what=paused.what,
                        name="sim",
                        resume=resume,
                        actor=OPERATOR,
                        reason="a look at it",
                        now=now,
                    )
                )
                if not resume:
                    self.faults["pause"] += 1
                    await asyncio.sleep(paused.length)
            self.pauses.append(range(begun[0] + 1, begun[1] + 1))

    def _calm_ledger(self, then: Callable[[Connection], None] | None = None) -> Ledger:
        """An operator's. `then` is called in each of its transactions."""
        life = Life(name="operator", chance=self.chance)

        def committed(connection: Connection) -> None:
            self._committed(connection)
            if then is not None:
                then(connection)

        return a_ledger(SimWriter(self.engine, life, self.chance, LedgerFaults(), committed))

    @property
    def _run(self) -> str:
        return run_id(START, self.seed.to_bytes(10))

    def _committed(self, connection: Connection) -> None:
        """After each operation, still in its transaction."""
        self._commits += 1
        if self._commits % 16 == 0:
            always(connection)
        if self.story.flow.limits:
            in_flow(connection, self.story.flow.limits)
        if not self.ended.is_set():
            row = raw(connection).execute("SELECT state FROM run").fetchone()
            if row is not None and State(row[0]) in FINAL:
                self.ended.set()

    def _settled(self, delivery: SimDelivery) -> None:
        """Before a message is let go: what its worker holds a lease on must be recorded."""
        for keeper in self.keepers.values():
            for lease in keeper.held:
                held: object = lease.delivery
                if held is delivery:
                    self._recorded(lease.claimed.task, lease.claimed.epoch)

    def _recorded(self, task: str, epoch: int) -> None:
        query = text("SELECT state FROM task WHERE task = :t AND epoch = :e")
        with self.engine.connect() as connection:
            state = connection.execute(query, {"t": task, "e": epoch}).scalar()
        if state == State.RUNNING:
            self.died.append(Broken(f"settled before it was recorded: {task}"))
            raise Gone

    async def _handle(self, life: Life, bench: Workbench) -> Produced | Failed:
        assert isinstance(bench.payload, Step)
        place = f"{bench.payload.stage}/{bench.payload.of}"
        self.ran[place] += 1
        self.running[place] += 1
        self.at_once = max(self.at_once, self.running[place])
        try:
            await self._work(bench)
        finally:
            self.running[place] -= 1
        path = bench.scratch / "out.txt"
        path.write_text(place, encoding="utf-8")
        output = Output(name="out.txt", path=path, media_type="text/plain", tier=Tier.SILVER)
        found = self.story.partitions if bench.payload.stage == "list" else None
        return Produced(outputs=(output,), partitions=found, facts={"by": life.name})

    async def _work(self, bench: Workbench) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.chance.uniform(self.story.shortest_work, self.story.longest_work)
        while (left := until - loop.time()) > 0:
            if bench.signals.cancelled():
                raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")
            await asyncio.sleep(min(left, 3.0 if left < 600 else 60.0))
        if not self.calm and self.chance.random() < self.story.transient:
            raise StageFault(FaultKind.TRANSIENT, "source.away", "the source did not answer")
        if self.chance.random() < self.story.bad_input:
            raise StageFault(FaultKind.BAD_INPUT, "rule.broken", "dates are missing")


def _events(connection: Connection) -> int:
    """The number of the last event."""
    return int(raw(connection).execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])


def _leaves(why: BaseException) -> list[BaseException]:
    if isinstance(why, BaseExceptionGroup):
        return [leaf for one in why.exceptions for leaf in _leaves(one)]
    return [] if isinstance(why, FleetError | asyncio.CancelledError) else [why]
