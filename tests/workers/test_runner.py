"""Running handlers: every way to end becomes an outcome, and none takes the worker along."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from contracts.lane import Mode
from contracts.outcome import Failed, FaultKind, Produced
from contracts.states import State
from tests.workers.conftest import Fleet, a_stage, writes_a_file
from workers.runner import failed
from workers.stages.handler import StageFault, Workbench


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
