"""One process of the stack: started, watched, started again, ended."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.stack.process import Child, Component, kill_group, stop, tail
from console.stack.record import ProcessMark
from tests.console.waiting import until

Start = Callable[[str], Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Child] = []

    def begin(part: str) -> Child:
        component = Component(
            name=part,
            module="tests.console.stack.puppet",
            arguments=[part],
            environment=dict(os.environ),
        )
        started.append(Child(component, tmp_path))
        return started[-1]

    yield begin
    for child in started:
        kill_group(child.mark)
        stop([child.mark], 10, child.reap)


def test_a_process_is_ready_when_it_says_so(start: Start) -> None:
    """Ready means that the process wrote its ready file, and its words are in its log."""
    child = start("serve")

    until(lambda: child.ready)

    assert child.running
    assert f"at work as {child.mark.pid}" in child.log.read_text()


def test_a_stop_is_asked_for_first(start: Start) -> None:
    """SIGTERM ends a process that listens; stopping it again changes nothing."""
    child = start("serve")
    until(lambda: child.ready)

    stop([child.mark], 10, child.reap)
    stop([child.mark], 10, child.reap)

    assert child.ending == "was ended by SIGTERM"


def test_what_does_not_end_is_ended_with_its_children(start: Start) -> None:
    """After its patience, a stop ends the process and whatever it had started."""
    child = start("deaf")
    until(lambda: child.ready)
    grandchild = ProcessMark.of("sleep", int((child.log.with_suffix(".child")).read_text()))

    stop([child.mark], 0.2, child.reap)

    assert child.ending == "was ended by SIGKILL"
    until(lambda: not grandchild.alive)


def test_a_dead_process_is_started_again(start: Start) -> None:
    """A restart is a new process in the same log, ready only once it says so itself."""
    child = start("serve")
    until(lambda: child.ready)
    first = child.mark
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not child.running)

    child.restart()

    until(lambda: child.ready)
    assert child.mark != first
    assert child.log.read_text().count("at work as") == 2


def test_what_dies_at_once_waits_before_it_is_started_again(start: Start) -> None:
    """The first restart is due at once; each further one later, so that a broken process does not
    keep the machine busy."""
    child = start("fail")
    until(lambda: not child.running)
    assert child.due()

    for _ in range(6):
        child.restart()
        until(lambda: not child.running)

    assert not child.due()


def test_a_failure_shows_the_end_of_the_log(start: Start) -> None:
    """What a process said last is part of the error about it."""
    child = start("fail")
    until(lambda: not child.running)

    failure = child.failure(child.ending)

    assert "fail ended with exit code 1" in str(failure)
    assert "the disk is on fire" in str(failure)


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    """A long log is not read whole, and one that is missing is no error."""
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))

    assert tail(log).splitlines()[-1] == "  | line 9999"
    assert len(tail(log).splitlines()) == 15
    assert "nothing" in tail(tmp_path / "none.log")
