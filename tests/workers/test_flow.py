"""A worker that obeys the ledger's flow: pauses, slots, what goes ahead, a ledger that is away."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from contracts.limit import Limit
from contracts.outcome import Failed, Produced
from contracts.states import State
from dispatcher.waker import Waker
from fleet.ledger.pauses import Pause
from tests.workers.conftest import PATIENCE, RUN, Fleet, a_stage, until, writes_a_file
from workers.flow import Flow
from workers.stages.handler import Workbench
from workers.worker import serve

URGENT = "0190f3a2-0000-7000-8000-000000000002"


@dataclass
class Seen:
    """A handler that tells what it runs, and goes on when told to."""

    order: list[str] = field(default_factory=list)
    at_once: int = 0
    running: int = 0
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go_on: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, bench: Workbench) -> Produced | Failed:
        with self._lock:
            self.running += 1
            self.at_once = max(self.at_once, self.running)
            self.order.append(bench.payload.word)  # type: ignore[attr-defined]  # a Step
        self.began.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        with self._lock:
            self.running -= 1
        return writes_a_file(bench)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.began.acquire, True, PATIENCE)


@contextlib.asynccontextmanager
async def serving(fleet: Fleet) -> AsyncIterator[Flow]:
    """A worker at work on the lane, and the dispatcher's waker beside it."""
    stop, flow = asyncio.Event(), Flow(fleet.site.ledger, fleet.clock, every=0.05, slow=0.3)
    waker = Waker(fleet.site.ledger, fleet.site.bus, fleet.clock, every=0.05)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(fleet.site, [fleet.lane], stop, grace=PATIENCE, flow=flow))
        group.create_task(waker.loop.run(stop))
        yield flow
        stop.set()


async def ended(fleet: Fleet, run: str = RUN) -> None:
    await until(lambda: fleet.reader.run(run).state is State.SUCCEEDED)


def a_pause(fleet: Fleet, *, resume: bool = False) -> Pause:
    return Pause(
        what="lane",
        name="test",
        resume=resume,
        actor="ana",
        reason="maintenance",
        now=fleet.clock.now(),
    )


async def test_a_worker_takes_nothing_of_a_paused_lane_and_goes_on_by_itself(fleet: Fleet) -> None:
    """What runs ends; what waits stays on its queue, untouched; the end of the pause is enough."""
    seen = Seen()
    fleet.handle(seen)
    await fleet.start(*(a_stage(f"s{n}", word=f"s{n}") for n in range(4)))

    async with serving(fleet) as flow:
        await seen.has_begun()
        await fleet.site.ledger.pause(a_pause(fleet))
        await until(lambda: flow.paused("test"))
        seen.go_on.release()
        await until(lambda: fleet.task(seen.order[0]).state is State.SUCCEEDED)
        during = len(seen.order)
        counts = fleet.broker.counts("lane-test")
        for _ in range(3):
            seen.go_on.release()
        await fleet.site.ledger.pause(a_pause(fleet, resume=True))
        await ended(fleet)

    assert during == 1
    # One may have been on its way; it was put off, and its message completed.
    assert counts["active"] >= 2
    assert {fleet.task(f"s{n}").attempt for n in range(4)} == {1}


async def test_the_fleet_keeps_to_a_lanes_limit_by_tenant(fleet: Fleet) -> None:
    """Three places in the worker, one slot for the tenant: one at a time, and all of them run."""
    limit = Limit(key="{tenant}", running=1)
    fleet.lane = fleet.lane.model_copy(update={"concurrency": 3, "limits": (limit,)})
    seen = Seen()
    fleet.handle(seen)
    await fleet.start(*(a_stage(f"s{n}", word=f"s{n}") for n in range(5)))

    async with serving(fleet):
        for _ in range(5):
            await seen.has_begun()
            seen.go_on.release()
        await ended(fleet)

    assert seen.at_once == 1
    assert sorted(seen.order) == [f"s{n}" for n in range(5)]
    assert {fleet.task(f"s{n}").attempt for n in range(5)} == {1}


async def test_a_killed_holder_frees_its_slot(fleet: Fleet) -> None:
    """A claim whose worker is never heard of again: its lease lapses, the sweep frees the slot."""
    limit = Limit(running=1)
    fleet.lane = fleet.lane.model_copy(update={"limits": (limit,)})
    await fleet.start(a_stage("one"), a_stage("two"))

    class Killed(Exception):
        """Stands for SIGKILL: nothing after it runs."""

    def dies(name: str) -> None:
        if name == "claimed":
            raise Killed

    alive, fleet.site = fleet.site, replace(fleet.site, worker="dies", point=dies)
    with pytest.raises(ExceptionGroup) as killed:
        await fleet.deliver()
    assert killed.group_contains(Killed)
    fleet.site = alive
    await fleet.deliver()  # finds no slot, and is put off
    (held,) = fleet.reader.slots()
    await fleet.clock.advance(31)
    await fleet.site.ledger.sweep(fleet.clock.now())

    async with serving(fleet):
        await fleet.relay()
        await ended(fleet)

    assert (held.held, held.waiting) == (1, 1)
    assert [(row.held, row.waiting) for row in fleet.reader.slots()] == []


async def test_an_urgent_task_starts_ahead_of_ten_thousand_that_wait(fleet: Fleet) -> None:
    """They lie on the lane's queue when it is asked for; ahead of it are only those that the worker
    had at hand."""
    seen, many = Seen(), 10_000
    fleet.handle(seen)
    partitions = tuple(f"p{n}" for n in range(many))
    backlog = a_stage("backlog", word="usual").model_copy(update={"partitions": partitions})
    await fleet.start(backlog)
    while (
        await fleet.relay(1000)
        # A fan-out's tasks are queued some thousands at a time, as the dispatcher does.
        or (await fleet.site.ledger.sweep(fleet.clock.now())).queued
    ):
        pass

    async with serving(fleet):
        await seen.has_begun()
        waiting = fleet.broker.counts("lane-test")["active"]
        await fleet.start(a_stage("now", word="urgent"), run=URGENT, priority=9)
        await until(lambda: fleet.broker.counts("lane-test")["active"] > waiting)
        while "urgent" not in seen.order:
            seen.go_on.release()
            await seen.has_begun()
        began = len(seen.order)
        seen.go_on.release(100)  # for whatever else begins until the worker has stopped
        await ended(fleet, URGENT)

    assert waiting >= many - 100
    assert began < 10
    assert seen.order.count("urgent") == 1


async def test_a_worker_whose_ledger_is_locked_takes_nothing_and_loses_nothing(
    fleet: Fleet,
) -> None:
    """It stops receiving while commits stand still, and goes on with them."""
    seen = Seen()
    fleet.handle(seen)
    for _ in range(20):
        seen.go_on.release()
    await fleet.start(*(a_stage(f"s{n}", word=f"s{n}") for n in range(6)))
    other = sqlite3.connect(str(fleet.site.ledger.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async with serving(fleet) as flow:
        await until(lambda: flow.paused("test"))
        during = list(seen.order)
        other.execute("ROLLBACK")
        other.close()
        await ended(fleet)

    assert during == []
    assert sorted(seen.order) == [f"s{n}" for n in range(6)]
    assert {fleet.task(f"s{n}").attempt for n in range(6)} == {1}
