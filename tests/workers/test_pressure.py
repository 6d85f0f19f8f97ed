"""Backpressure at a worker: a slow store or bus bounds what it takes on, and costs nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from contracts.artifact import Tier
from contracts.outcome import Failed, Produced
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from fleet.artifacts.store import Stored
from tests.workers.conftest import PATIENCE, RUN, Fleet, a_stage, until, writes_a_file
from workers.stages.handler import Workbench
from workers.worker import serve

STAGES = ("a", "b", "c", "d", "e")


@asynccontextmanager
async def two_at_a_time(fleet: Fleet) -> AsyncIterator[list[str]]:
    """A worker with two places while five tasks wait; which stages it has handled."""
    handled: list[str] = []

    def notes(bench: Workbench) -> Produced | Failed:
        handled.append(bench.payload.word)  # type: ignore[attr-defined]  # a Step
        return writes_a_file(bench)

    fleet.handle(notes)
    fleet.lane = fleet.lane.model_copy(update={"concurrency": 2})
    await fleet.start(*(a_stage(name, word=name) for name in STAGES))
    stop = asyncio.Event()
    serving = asyncio.create_task(serve(fleet.site, [fleet.lane], stop, grace=PATIENCE))
    try:
        yield handled
    finally:
        stop.set()
        await asyncio.wait_for(serving, PATIENCE)


def leases(fleet: Fleet) -> dict[str, datetime]:
    """Until when each running stage is leased."""
    tasks = {name: fleet.task(name) for name in STAGES}
    return {name: task.lease_until for name, task in tasks.items() if task.lease_until}


def attempts(fleet: Fleet) -> list[tuple[State, int]]:
    return [(fleet.task(name).state, fleet.task(name).attempt) for name in STAGES]


class _Slow(FolderStore):
    """A store that stores nothing before it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.waiting, self.go_on = threading.Semaphore(0), threading.Event()

    def put_file(self, tier: Tier, path: Path) -> Stored:
        self.waiting.release()
        assert self.go_on.wait(PATIENCE)
        return super().put_file(tier, path)


async def test_a_slow_store_bounds_what_a_worker_takes(fleet: Fleet, tmp_path: Path) -> None:
    """Two outputs wait for it, three messages stay on the queue for others; leases are renewed
    meanwhile, and each task is done once, at its first attempt."""
    store = _Slow(tmp_path / "artifacts")
    fleet.site = replace(fleet.site, store=store)
    fleet.lane = fleet.lane.model_copy(update={"lease": 3.0})
    async with two_at_a_time(fleet) as handled:
        for _ in range(2):
            assert await asyncio.to_thread(store.waiting.acquire, timeout=PATIENCE)
        before = leases(fleet)
        await until(lambda: all(leases(fleet)[name] > at for name, at in before.items()))
        meanwhile = sorted(handled)
        store.go_on.set()
        await until(lambda: fleet.reader.run(RUN).state is State.SUCCEEDED)

    assert sorted(before) == meanwhile
    assert len(meanwhile) == 2
    assert sorted(handled) == list(STAGES)
    assert attempts(fleet) == [(State.SUCCEEDED, 1)] * 5


async def test_a_slow_bus_bounds_what_a_worker_takes(fleet: Fleet) -> None:
    """Settlements that are not answered keep their places, and nothing more is begun. As they are
    answered the rest is done; each task once, and nothing is left on the queue."""
    rule = fleet.broker.fault("settle", "delay-reply", delay_s=20.0, times=None)
    begun = []
    async with two_at_a_time(fleet) as handled:
        for settling in (2, 4, 5):
            await until(lambda wanted=settling: fleet.broker.struck(rule) >= wanted)  # type: ignore[misc]
            begun.append(len(handled))
            await fleet.clock.advance(20)

    assert begun == [2, 4, 5]
    assert sorted(handled) == list(STAGES)
    assert attempts(fleet) == [(State.SUCCEEDED, 1)] * 5
    assert fleet.broker.counts("lane-test")["active"] == 0
