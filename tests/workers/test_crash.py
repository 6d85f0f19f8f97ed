"""A worker that dies between any two steps of a delivery loses nothing and doubles nothing."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from contracts.states import State
from tests.workers.conftest import RUN, Fleet
from workers.executor import work
from workers.relays import Relays


class Crash(BaseException):
    """The process is gone: no handler of errors may see this."""


class Fatal:
    """A port at which the worker dies: before or after the call of one method."""

    def __init__(self, port: Any, method: str, when: str) -> None:
        self._port, self._method, self._when = port, method, when

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return self._deadly(found) if name == self._method else found

    def _deadly(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def dies_at_once(*given: Any, **named: Any) -> None:
            if self._when == "after":
                call(*given, **named)
            raise Crash

        async def dies(*given: Any, **named: Any) -> Any:
            if self._when == "after":
                await call(*given, **named)
            raise Crash

        return dies if inspect.iscoroutinefunction(call) else dies_at_once


POINTS = [
    ("ledger", "claim", "before"),
    ("ledger", "claim", "after"),
    ("runner", "run", "before"),
    ("runner", "run", "after"),
    ("ledger", "record", "before"),
    ("ledger", "record", "after"),
    ("bus", "publish", "before"),
    ("bus", "publish", "after"),
    ("ledger", "put_relayed", "before"),
    ("ledger", "put_relayed", "after"),
    ("delivery", "complete", "before"),
    ("delivery", "complete", "after"),
]


@pytest.mark.parametrize(("port", "method", "when"), POINTS)
async def test_a_crash_loses_nothing_and_doubles_nothing(
    fleet: Fleet, port: str, method: str, when: str
) -> None:
    """The lease lapses, the sweeper and the broker bring the task back, the run succeeds once."""
    await fleet.start()
    sound = fleet.site

    async def crashes(delivery: Any) -> None:
        if port == "delivery":
            delivery = Fatal(delivery, method, when)
        else:
            fatal: Any = Fatal(getattr(sound, port), method, when)
            site = replace(sound, **{port: fatal})
            fleet.site = replace(site, relays=Relays(site.bus, site.ledger, site.clock))
        async with fleet.site.relays.kept():
            await work(delivery, fleet.lane, fleet.site)

    with pytest.raises(BaseExceptionGroup) as crashed:
        await fleet.deliver(crashes)
    assert crashed.group_contains(Crash)
    fleet.site = sound
    await _recover(fleet)

    run = fleet.reader.run(RUN)
    assert run.state is State.SUCCEEDED
    made = [(row.stage, row.pointer.name) for row in fleet.reader.artifacts(RUN)]
    assert sorted(made) == [("first", "out.txt"), ("second", "out.txt")]
    recorded = [a for s in ("first", "second") for a in fleet.task(s).attempts]
    assert [a.state for a in recorded].count(State.SUCCEEDED) == 2
    assert fleet.broker.counts("lane-test")["active"] == 0


async def _recover(fleet: Fleet) -> None:
    """Time passes; the dispatcher sweeps and relays; another worker takes what is there."""
    for _ in range(4):
        await fleet.clock.advance(120)
        await fleet.site.ledger.sweep(fleet.clock.now())
        await fleet.relay()
        while fleet.broker.counts("lane-test")["active"]:
            await fleet.deliver()
