"""What is logged while a task is carried out is found with the task."""

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from contracts.lane import Mode
from contracts.outcome import FaultKind, Produced
from contracts.states import State
from fleet.ledger.rows import SpanRow
from fleet.telemetry import names
from fleet.telemetry.lines import MOST_LINES, LogLine, left_out, lines_of, true_spans
from fleet.telemetry.logs import hear
from fleet.telemetry.telemetry import start_telemetry
from tests.policies.secrets import PLANTED, core_of
from tests.workers.conftest import PATIENCE, Fleet, a_stage, until, writes_a_file
from workers.stages.handler import StageFault, Workbench

LOG = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("tests")
    before = root.handlers[:], root.level, ours.level
    hear(_as_it_was)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


async def carried(fleet: Fleet) -> tuple[list[LogLine], list[SpanRow]]:
    """One delivery with the local trace store, and what is then told of its task."""
    await fleet.start(a_stage("only"))
    with start_telemetry("worker", fleet.site.ledger) as telemetry:
        fleet.site = replace(fleet.site, tracer=telemetry.tracer)
        await fleet.deliver()
    await fleet.site.ledger.ping()  # written after the spans
    task = fleet.task("only")
    assert task.trace_id is not None
    spans = fleet.reader.spans(task.trace_id, task.task)
    return lines_of(spans), spans


def tells(bench: Workbench) -> Produced:
    """Logs a secret, then raises."""
    LOG.info("read %d rows", 7)
    LOG.debug("nobody hears this")
    LOG.warning("connecting with %s", PLANTED["storage account"][1])
    raise ConnectionError("the source went away")


async def tells_on_the_loop(bench: Workbench) -> Produced:
    return tells(bench)


@pytest.mark.parametrize("mode", [Mode.THREAD, Mode.PROCESS, Mode.ASYNC])
async def test_the_lines_of_a_handler_stand_with_its_task(fleet: Fleet, mode: Mode) -> None:
    """With attempt, level and logger, in whatever mode; no secret; the stack of what it raised."""
    fleet.handle(tells_on_the_loop if mode is Mode.ASYNC else tells, mode)

    lines, _ = await carried(fleet)

    told = [(line.attempt, line.level, line.message) for line in lines]
    assert told[0] == (1, "info", "read 7 rows")
    assert told[1][2].startswith("connecting with ")
    assert core_of("storage account") not in told[1][2]
    assert told[2] == (1, "warning", "the handler failed")
    assert lines[0].logger == __name__
    assert lines[2].stack[-1] == "ConnectionError: the source went away"
    assert any(step.startswith(f"{__name__}.tells:") for step in lines[2].stack)
    assert len(lines) == 3


def states_a_fault(bench: Workbench) -> Produced:
    raise StageFault(FaultKind.TRANSIENT, "source.away", "no source") from ConnectionError(
        "refused"
    )


async def test_a_stated_fault_is_told_with_what_caused_it(fleet: Fleet) -> None:
    """Its stack, and the one beneath: what the fault's words leave out."""
    fleet.handle(states_a_fault)

    lines, _ = await carried(fleet)

    assert [line.message for line in lines] == ["the handler failed: source.away"]
    assert lines[0].stack[-1] == "ConnectionError: refused"


def dies_telling(bench: Workbench) -> Produced:
    LOG.error("about to run out of memory")
    os._exit(9)


async def test_the_last_words_of_a_process_that_died_are_kept(fleet: Fleet) -> None:
    """A line is handed over when it is logged, not when the handler ends."""
    fleet.handle(dies_telling, Mode.PROCESS)

    lines, _ = await carried(fleet)

    assert [line.message for line in lines] == ["about to run out of memory"]


def never_stops(bench: Workbench) -> Produced:
    for number in range(MOST_LINES * 3):
        LOG.info("line %d %s", number, "x" * 900)
    return Produced()


async def test_of_many_lines_the_last_are_kept(fleet: Fleet) -> None:
    """At most 64 KiB of them, with how many are left out; the row of the span stays small."""
    fleet.handle(never_stops, Mode.THREAD)

    lines, spans = await carried(fleet)

    assert lines[-1].message.startswith(f"line {MOST_LINES * 3 - 1} ")
    assert 60 < len(lines) <= 72
    assert left_out(spans) == MOST_LINES * 3 - len(lines)


GO_ON = threading.Event()


def takes_its_time(bench: Workbench) -> Produced:
    LOG.info("half way")
    assert GO_ON.wait(PATIENCE)
    LOG.info("the rest")
    return Produced()


async def test_lines_are_read_while_the_task_runs(fleet: Fleet) -> None:
    """They do not wait for the attempt's end; in the end each is told once."""

    def told() -> list[tuple[int | None, str]]:
        lines = lines_of(fleet.reader.spans(trace, fleet.task("only").task))
        return [(line.attempt, line.message) for line in lines]

    trace = "0af7651916cd43dd8448eb211c80319c"
    fleet.handle(takes_its_time)
    await fleet.start(a_stage("only"), traceparent=f"00-{trace}-b7ad6b7169203331-01")
    with start_telemetry("worker", fleet.site.ledger) as telemetry:
        fleet.site = replace(fleet.site, tracer=telemetry.tracer)
        carrying = asyncio.create_task(fleet.deliver())
        try:
            await until(lambda: told() == [(1, "half way")])
            assert fleet.task("only").state is State.RUNNING
        finally:
            GO_ON.set()
            await carrying
    await fleet.site.ledger.ping()

    assert told() == [(1, "half way"), (1, "the rest")]
    assert len(true_spans(fleet.reader.spans(trace))) == 3


async def test_a_task_that_logs_nothing_has_nothing_written_for_it(fleet: Fleet) -> None:
    """No row and no attribute more."""
    fleet.handle(writes_a_file)

    lines, spans = await carried(fleet)

    assert lines == []
    assert len(spans) == 3
    assert not any(names.LOGS in span.attributes for span in spans)
