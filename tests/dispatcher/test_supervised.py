"""The loop around relay and sweep: paced, woken, slowed down, stopped."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from dispatcher.supervised import Supervised
from fleet.errors import FleetError

_HOUR = 3600.0
_MOMENT = 0.001


class _Steps:
    """A step that does what the list says, and sets `done` when the list is at its end."""

    def __init__(self, *script: bool | Exception) -> None:
        self._script = list(script)
        self.taken = 0
        self.done = asyncio.Event()

    async def __call__(self) -> bool:
        self.taken += 1
        then = self._script.pop(0)
        if not self._script:
            self.done.set()
            self._script.append(False)
        if isinstance(then, Exception):
            raise then
        return then


async def _running(loop: Supervised, until: Callable[[], asyncio.Event]) -> None:
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(loop.run(stop))
        await until().wait()
        stop.set()


async def test_work_left_behind_is_done_at_once() -> None:
    """A step that left work is followed by another without a pause."""
    steps = _Steps(True, True, False)

    await _running(Supervised("x", steps, _HOUR), lambda: steps.done)

    assert steps.taken == 3


async def test_a_wake_ends_the_pause() -> None:
    """Whoever has work for the loop does not wait for its pace."""
    steps = _Steps(False, False)
    first = asyncio.Event()

    async def step() -> bool:
        more = await steps()
        first.set()
        return more

    loop = Supervised("x", step, _HOUR)
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(loop.run(stop))
        await first.wait()
        loop.wake()
        await steps.done.wait()
        stop.set()

    assert steps.taken == 2


async def test_a_named_failure_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The loop outlives what the fleet can name, says so, and says when it works again."""
    steps = _Steps(FleetError("the bus is away"), OSError("no route"), False)
    loop = Supervised("relay", steps, _MOMENT)

    with caplog.at_level(logging.INFO):
        await _running(loop, lambda: steps.done)

    told = [record.getMessage() for record in caplog.records if record.name.startswith("dispatch")]
    assert told == [
        "relay failed, again in 0.0 s: the bus is away",
        "relay failed, again in 0.0 s: no route",
        "relay works again",
    ]
    assert loop.failing is None


async def test_a_failing_loop_says_why_and_stops_when_told() -> None:
    """Readiness reads the reason, and a long pause does not hold up the end of the process."""
    steps = _Steps(FleetError("the bus is away"))
    loop = Supervised("relay", steps, _HOUR)

    await _running(loop, lambda: steps.done)

    assert loop.failing == "the bus is away"


async def test_a_defect_ends_the_loop() -> None:
    """What the fleet has no name for is not tried again: the process ends and is started anew."""
    loop = Supervised("relay", _Steps(KeyError("defect"), False), _MOMENT)

    with pytest.raises(KeyError, match="defect"):
        await loop.run(asyncio.Event())


async def test_a_stopped_loop_does_nothing() -> None:
    """Stopping before the start and waking after the end are harmless."""
    steps = _Steps(False)
    loop, stop = Supervised("x", steps, _HOUR), asyncio.Event()
    stop.set()

    await loop.run(stop)
    loop.wake()

    assert steps.taken == 0
