"""A worker process from start to stop: it works its lanes, and leaves nothing half done."""

import asyncio
import threading

from contracts.outcome import Produced
from contracts.states import State
from tests.workers.conftest import PATIENCE, RUN, Fleet, Step, a_stage, until, writes_a_file
from workers.health import Watch
from workers.stages.handler import Workbench
from workers.worker import serve


async def test_a_worker_carries_a_run_to_its_end_and_stops(fleet: Fleet) -> None:
    """Stage after stage without anybody relaying; then it stops at once, and stops again."""
    await fleet.start()
    stop, done = asyncio.Event(), threading.Event()

    def tells(bench: Workbench) -> Produced:
        if "first" in bench.inputs:
            done.set()
        produced = writes_a_file(bench)
        assert isinstance(produced, Produced)
        return produced

    fleet.handle(tells)
    serving = asyncio.create_task(serve(fleet.site, [fleet.lane], stop, grace=PATIENCE))
    await asyncio.to_thread(done.wait, PATIENCE)
    stop.set()
    stop.set()
    await asyncio.wait_for(serving, PATIENCE)

    assert fleet.reader.run(RUN).state is State.SUCCEEDED
    (worker,) = fleet.reader.workers()
    assert (worker.worker, worker.lanes) == ("worker-1", ("test",))
    assert worker.facts["kinds"] == ["test.step.v1"]


async def test_stopping_waits_for_what_ends_in_time_and_releases_the_rest(fleet: Fleet) -> None:
    """Past the grace period the task is on its queue again, at the same attempt."""
    await fleet.start()
    stop, started = asyncio.Event(), threading.Event()

    def long(bench: Workbench) -> Produced:
        started.set()
        while not bench.signals.cancelled():
            threading.Event().wait(0.01)
        raise InterruptedError

    fleet.handle(long)
    serving = asyncio.create_task(serve(fleet.site, [fleet.lane], stop, grace=0.1))
    await asyncio.to_thread(started.wait, PATIENCE)
    stop.set()
    await asyncio.wait_for(serving, PATIENCE)

    task = fleet.task("first")
    assert (task.state, task.attempt) == (State.QUEUED, 1)
    assert fleet.broker.counts("lane-test")["active"] == 1


async def test_a_drained_worker_finishes_what_it_has_and_takes_no_more(fleet: Fleet) -> None:
    """It hears of it with a heartbeat; who asked and why stays, and its name is its own."""
    await fleet.start()
    started, go_on = asyncio.Event(), threading.Event()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def long(bench: Workbench) -> Produced:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(PATIENCE)
        produced = writes_a_file(bench)
        assert isinstance(produced, Produced)
        return produced

    fleet.handle(long)
    serving = asyncio.create_task(
        serve(fleet.site, [fleet.lane], stop, grace=PATIENCE, heartbeat=0.05)
    )
    await asyncio.wait_for(started.wait(), PATIENCE)
    told = await fleet.site.ledger.drain_worker(
        "worker-1", "ana", "its node is patched", fleet.clock.now()
    )
    await asyncio.wait_for(stop.wait(), PATIENCE)
    go_on.set()
    await asyncio.wait_for(serving, PATIENCE)

    assert told.changed
    assert fleet.task("first").state is State.SUCCEEDED
    assert fleet.task("second").state is State.QUEUED
    act = fleet.reader.acts(None, 1).rows[0]
    assert (act.actor, act.action, act.on) == ("ana", "worker.drain", "worker-1")
    assert act.reason == "its node is patched"


class _TellingWatch(Watch):
    """Tells when two deliveries are finished."""

    both = asyncio.Event()
    _finished = 0

    def finished(self, lane: str) -> None:
        super().finished(lane)
        self._finished += 1
        if self._finished == 2:
            self.both.set()


async def test_a_worker_whose_threads_are_stuck_takes_no_more_and_ends(fleet: Fleet) -> None:
    """Half of a lane's places are lost to handlers that withstand their timeout: it stops by
    itself, without waiting for them, and what is on the queue is left to the one started anew."""
    release = threading.Event()

    def deaf(bench: Workbench) -> Produced:
        release.wait(PATIENCE)
        return Produced()

    fleet.handle(deaf)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 0.1})
    await fleet.start(a_stage("one"), a_stage("two"))
    try:
        await asyncio.wait_for(
            serve(fleet.site, [fleet.lane], asyncio.Event(), grace=PATIENCE), PATIENCE
        )
        left = fleet.site.runner.left_behind
    finally:
        release.set()

    assert left == 1
    states = {fleet.task(stage).state for stage in ("one", "two")}
    assert states == {State.RETRYING, State.QUEUED}


async def test_a_place_comes_back_with_the_thread_that_held_it(fleet: Fleet) -> None:
    """One of four is stuck for a while: the worker goes on with three, then with four again."""
    release, going = threading.Event(), asyncio.Event()

    def deaf_once(bench: Workbench) -> Produced:
        assert isinstance(bench.payload, Step)
        if bench.payload.word == "stuck":
            release.wait(PATIENCE)
        return Produced()

    fleet.handle(deaf_once)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 0.1, "concurrency": 4})
    await fleet.start(a_stage("stuck", word="stuck"), *(a_stage(f"s{n}") for n in range(6)))
    serving = asyncio.create_task(serve(fleet.site, [fleet.lane], going, grace=PATIENCE))
    try:
        await until(lambda: fleet.task("stuck").state is State.RETRYING)
        stuck = (fleet.site.runner.left_behind, going.is_set())
    finally:
        release.set()
    await until(lambda: fleet.site.runner.left_behind == 0)
    going.set()
    await asyncio.wait_for(serving, PATIENCE)

    assert stuck == (1, False)
    assert {fleet.task(f"s{n}").state for n in range(6)} == {State.SUCCEEDED}


async def test_a_worker_of_a_job_ends_once_nothing_came_for_long(fleet: Fleet) -> None:
    """Not while a task is in hand, however long it takes; and then by itself, with all done."""
    await fleet.start()
    started, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def long(bench: Workbench) -> Produced:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(PATIENCE)
        produced = writes_a_file(bench)
        assert isinstance(produced, Produced)
        return produced

    fleet.handle(long)
    watch = _TellingWatch(
        [fleet.lane],
        reader=fleet.reader,
        bus=fleet.site.bus,
        clock=fleet.clock,
        left_behind=lambda: 0,
    )
    serving = asyncio.create_task(
        serve(fleet.site, [fleet.lane], asyncio.Event(), PATIENCE, watch=watch, until_idle=600)
    )
    await asyncio.wait_for(started.wait(), PATIENCE)
    busy = watch.idle_since
    go_on.set()
    await asyncio.wait_for(watch.both.wait(), PATIENCE)
    await fleet.clock.advance(601)
    await asyncio.wait_for(serving, PATIENCE)

    assert busy is None
    assert fleet.reader.run(RUN).state is State.SUCCEEDED
    assert fleet.broker.counts("lane-test")["active"] == 0
