"""Running handlers: every way to end becomes an outcome, and none takes the worker along."""

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from contracts.artifact import Scope
from contracts.lane import Mode
from contracts.outcome import Failed, FaultKind, Produced
from contracts.states import State
from tests.workers.conftest import PATIENCE, Fleet, Step, a_stage, until, writes_a_file
from workers.bench import NO_SIGNALS
from workers.guard import failed
from workers.leases import Lease
from workers.stages.handler import StageFault, StageHandler, Workbench
from workers.stages.scratch import Scratch


def dies(bench: Workbench) -> Produced:
    """A crash in a library, or the kernel's memory killer."""
    os._exit(9)


async def test_a_process_that_dies_fails_its_task_alone(fleet: Fleet) -> None:
    """The task is tried again, and the worker's next process serves it."""
    await fleet.start(a_stage("only"))

    fleet.handle(dies, Mode.PROCESS)
    await fleet.deliver()
    died = fleet.task("only")
    fleet.handle(writes_a_file, Mode.PROCESS)
    await fleet.clock.advance(60)
    await fleet.deliver()

    assert died.attempts[0].fault is not None
    assert died.attempts[0].fault.code == "handler.process_died"
    assert fleet.task("only").state is State.SUCCEEDED


def takes_too_much(bench: Workbench) -> Produced:
    """A table too many in memory, and no end."""
    held = bytearray(1 << 30)
    held[:: 1 << 12] = b"x" * (1 << 18)
    return never_ends(bench)


async def test_a_process_that_takes_too_much_memory_fails_its_task_alone(fleet: Fleet) -> None:
    """It is ended at its lane's limit, and the worker's next process serves the task."""
    await fleet.start(a_stage("only"))

    fleet.handle(takes_too_much, Mode.PROCESS)
    fleet.lane = fleet.lane.model_copy(update={"memory_mb": 768})
    await fleet.deliver()
    grew = fleet.task("only").attempts[0].fault
    fleet.handle(writes_a_file, Mode.PROCESS)
    await fleet.clock.advance(60)
    await fleet.deliver()

    assert grew is not None
    assert (grew.code, grew.kind) == ("handler.too_large", FaultKind.TRANSIENT)
    assert fleet.task("only").state is State.SUCCEEDED


def waits_until_told(bench: Workbench) -> Produced:
    """In a process of its own, told over a file."""
    while not bench.signals.cancelled():
        threading.Event().wait(0.01)
    raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")


async def test_a_handler_in_a_process_is_told_to_end_too(fleet: Fleet) -> None:
    """Its timeout reaches over the process boundary."""
    await fleet.start(a_stage("only"))

    fleet.handle(waits_until_told, Mode.PROCESS)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 3})
    await fleet.deliver()

    fault = fleet.task("only").attempts[0].fault
    assert fault is not None
    assert fault.code == "handler.timed_out"
    assert fleet.site.runner.left_behind == 0


@pytest.mark.parametrize("mode", [Mode.THREAD, Mode.PROCESS])
async def test_what_a_handler_raises_becomes_a_fault(fleet: Fleet, mode: Mode) -> None:
    """Unexpected exceptions are tried again; a path in their words is not recorded."""
    await fleet.start(a_stage("only"))

    fleet.handle(trips, mode)
    await fleet.deliver()

    task = fleet.task("only")
    fault = task.attempts[0].fault
    assert task.state is State.RETRYING
    assert fault is not None
    assert fault.code == "handler.FileNotFoundError"
    assert str(Path.home()) not in fault.message


def trips(bench: Workbench) -> Any:
    return (Path.home() / "no" / "such" / "file").read_text()


def test_a_stated_fault_stays_as_it_was_stated() -> None:
    """Kind, code and facts."""
    outcome = failed(StageFault(FaultKind.PERMANENT, "sql.failed", "no such column", line=3))

    assert outcome == Failed(fault=outcome.fault)
    assert (outcome.fault.code, outcome.fault.facts) == ("sql.failed", {"line": 3})


def never_ends(bench: Workbench) -> Produced:
    """Neither asks nor listens."""
    while True:
        threading.Event().wait(1)


async def test_a_process_that_does_not_end_is_killed(fleet: Fleet) -> None:
    """Its task timed out, nothing is left behind, and the lane works on."""
    await fleet.start(a_stage("only"))

    fleet.handle(never_ends, Mode.PROCESS)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 0.5})
    await fleet.deliver()
    late = fleet.task("only").attempts[0].fault
    fleet.lane = fleet.lane.model_copy(update={"timeout": 20})
    fleet.handle(writes_a_file, Mode.PROCESS)
    await fleet.clock.advance(60)
    await fleet.deliver()

    assert late is not None
    assert late.code == "handler.timed_out"
    assert fleet.site.runner.left_behind == 0
    assert fleet.task("only").state is State.SUCCEEDED


def spins(bench: Workbench) -> Produced:
    """A loop in Python that asks nobody and shrugs at every exception."""
    while True:
        with contextlib.suppress(Exception):
            sum(range(1000))


async def test_a_thread_that_computes_on_and_on_is_ended(fleet: Fleet) -> None:
    """An exception ends it where it stands: nothing is left behind, and the task timed out."""
    await fleet.start(a_stage("only"))

    fleet.handle(spins)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 0.1})
    await fleet.deliver()

    fault = fleet.task("only").attempts[0].fault
    assert fault is not None
    assert fault.code == "handler.timed_out"
    assert fleet.site.runner.left_behind == 0
    assert "stage" not in {thread.name for thread in threading.enumerate()}


async def test_a_thread_that_withstands_everything_records_nothing_late(fleet: Fleet) -> None:
    """The attempt is over as timed out; it is counted until it ends; what it made is refused."""
    await fleet.start(a_stage("only"))
    release = threading.Event()

    def deaf(bench: Workbench) -> Produced | Failed:
        release.wait(PATIENCE)  # a call into C: no exception reaches it
        return writes_a_file(bench)

    try:
        fleet.handle(deaf)
        fleet.lane = fleet.lane.model_copy(update={"timeout": 0.1})
        await fleet.deliver()
        counted = fleet.site.runner.left_behind
    finally:
        release.set()
    await until(lambda: fleet.site.runner.left_behind == 0)

    assert counted == 1
    (attempt,) = fleet.task("only").attempts
    assert attempt.fault is not None
    assert attempt.fault.code == "handler.timed_out"
    assert fleet.task("only").outputs == ()


async def test_a_process_that_dies_leaves_its_neighbour_alone(fleet: Fleet, tmp_path: Path) -> None:
    """Two handlers at once in two processes; one is killed by the kernel, the other goes on."""
    runner = fleet.site.runner
    claimed: Any = None
    lease = Lease(claimed, claimed, 30, fleet.clock.now())
    stages = [
        StageHandler(payload=Step, run=dies),
        StageHandler(payload=Step, run=writes_a_file),
    ]
    benches = []
    for name in ("dies", "lives"):
        (tmp_path / name).mkdir()
        benches.append(a_bench(tmp_path / name))

    died, lived = await asyncio.gather(
        *(
            runner.run(stage, bench, Mode.PROCESS, lease, PATIENCE)
            for stage, bench in zip(stages, benches, strict=True)
        )
    )

    assert isinstance(died, Failed)
    assert died.fault.code == "handler.process_died"
    assert isinstance(lived, Produced)


def a_bench(scratch: Path) -> Workbench:
    return Workbench(
        payload=Step(),
        inputs={},
        files={},
        sources={},
        scope=Scope(tenant="acme"),
        folder=Scratch.of(scratch),
        signals=NO_SIGNALS,
    )


def leaves(bench: Workbench) -> Produced:
    raise SystemExit(3)


async def test_a_library_that_exits_fails_its_task_alone(fleet: Fleet) -> None:
    """`sys.exit` in a handler does not end the worker."""
    await fleet.start(a_stage("only"))

    fleet.handle(leaves)
    await fleet.deliver()

    fault = fleet.task("only").attempts[0].fault
    assert fault is not None
    assert fault.code == "handler.SystemExit"
