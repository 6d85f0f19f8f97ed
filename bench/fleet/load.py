"""What the fleet is given: runs of no-op tasks, in the ledger and on the bus."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import policies
from bench.fleet.noop import KIND, LANE, Noop
from bench.fleet.rig import Fleet
from contracts.artifact import Scope
from contracts.decision import Decision
from contracts.ids import run_id
from contracts.payload import PayloadRegistry
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from dispatcher.admit import admit
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import Bus, open_bus
from fleet.clock import SystemClock
from fleet.lanes import load_lanes
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import LaneLimits, NewRun, OutboxRow, Started
from fleet.relay import relay
from policies.bundle import load_bundle
from policies.gate import PolicyGate

_AT_ONCE = 500
_REQUEST = RunRequest(pipeline="noop", scope=Scope(tenant="acme"), requester="bench@example.com")


class Loader:
    """Starts runs and puts their first tasks on the bus, as the dispatcher does."""

    def __init__(self, ledger: Ledger, bus: Bus, admitted: Decision) -> None:
        self._ledger, self._bus, self._admitted = ledger, bus, admitted
        self._clock = SystemClock()

    async def load(self, graph: RunGraph, runs: int) -> float:
        """Seconds until `runs` runs of `graph` are recorded and every ready task is on the bus."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as relaying:
            for start in range(0, runs, _AT_ONCE):
                count = min(_AT_ONCE, runs - start)
                started = await asyncio.gather(*(self.start(graph) for _ in range(count)))
                relaying.create_task(self.publish([row for one in started for row in one.outbox]))
        while (await self._ledger.sweep(datetime.now(UTC))).queued:
            pass  # a run wider than one transaction is promised in several
        await self.publish_due()
        return time.monotonic() - began

    async def start(self, graph: RunGraph) -> Started:
        """Record one run."""
        now = datetime.now(UTC)
        return await self._ledger.start_run(
            NewRun(
                run=run_id(now, os.urandom(10)),
                request=_REQUEST,
                graph=graph,
                admitted=self._admitted,
                submitted=now,
                deadline=now + timedelta(hours=6),
                lane_limits={LANE: LaneLimits()},
            )
        )

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Put what is promised on the bus."""
        await relay(rows, self._bus, self._ledger, self._clock)

    async def publish_due(self) -> None:
        """What was left to the outbox."""
        while rows := await self._ledger.due_outbox(
            _AT_ONCE, datetime.now(UTC) + timedelta(seconds=1)
        ):
            await self.publish(rows)


@contextlib.asynccontextmanager
async def a_loader(fleet: Fleet) -> AsyncIterator[Loader]:
    """A loader of this process."""
    gate = PolicyGate(
        load_bundle(Path(policies.__file__).parent / "rules", load_lanes(fleet.home / "lanes.toml"))
    )
    admitted = admit(_REQUEST, one_task(), PayloadRegistry([Noop]), gate)
    async with (
        await Ledger.open(fleet.url, apart=True) as ledger,
        open_bus(fleet.connection, FolderStore(fleet.home / "artifacts")) as bus,
    ):
        yield Loader(ledger, bus, admitted)


def one_task() -> RunGraph:
    """A run of one task."""
    return RunGraph(stages=(_stage("s0"),))


def fan(width: int) -> RunGraph:
    """A run of `width` tasks side by side."""
    return RunGraph(stages=(_stage("s0", partitions=tuple(f"p{n}" for n in range(width))),))


def chain(stages: int) -> RunGraph:
    """A run of so many tasks, one after the other."""
    return RunGraph(
        stages=tuple(_stage(f"s{n}", needs=(f"s{n - 1}",) if n else ()) for n in range(stages))
    )


def _stage(
    name: str, *, needs: tuple[str, ...] = (), partitions: tuple[str, ...] | None = None
) -> StagePlan:
    return StagePlan(
        name=name,
        kind=KIND,
        version=1,
        lane=LANE,
        payload=Noop().model_dump(),
        needs=needs,
        partitions=partitions,
    )


SHAPES: dict[str, Callable[[int], tuple[RunGraph, int]]] = {
    "runs": lambda tasks: (one_task(), tasks),
    "fan": lambda tasks: (fan(tasks), 1),
    "chain": lambda tasks: (chain(7), tasks // 7),
}
"""By name: for so many tasks, which run and how many of it."""
