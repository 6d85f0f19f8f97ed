"""An event loop whose time jumps to the next timer, so that an hour passes in a moment.

Nothing waits for the machine: work that would go to a thread is done on the spot. Order depends on
nothing but the program and its seed.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(AssertionError):
    """Everybody waits and no timer is set: in real time this would wait for ever."""


class _Jump(selectors.SelectSelector):
    """Instead of waiting for sockets, moves the loop's time on."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("everybody waits for somebody else")
        self.loop.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now` is in seconds from 0."""

    def __init__(self) -> None:
        self.now = 0.0
        jump = _Jump()
        jump.loop = self
        super().__init__(jump)

    def time(self) -> float:
        return self.now

    def run_in_executor(  # type: ignore[override]  # the stub's TypeVarTuple, said more simply
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as cause:  # what a thread would hand over
            future.set_exception(cause)
        return future


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time; what it leaves running is cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
