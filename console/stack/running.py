"""A stack for as long as a command needs one, and the settings that reach it."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from console.site import Site
from console.stack.stack import Say, Stack

WORKERS = 2
"""Worker processes of a stack, unless told otherwise: one for each core of a small machine."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A stack that can be used."""

    site: Site
    tend: Callable[[], None]
    """Call it often: it starts again what has died. Does nothing for somebody else's stack."""
    keep: Callable[[], None]
    """Leave the stack running when the block ends."""

    @classmethod
    def by_others(cls, site: Site) -> "Running":
        """A stack that somebody else started and looks after."""
        return cls(site=site, tend=_nothing, keep=_nothing)


@contextlib.contextmanager
def running_stack(site: Site, workers: int, say: Say) -> Iterator[Running]:
    """The stack that runs on this home, or that the environment names, else a new one that is
    stopped when the block ends.

    Raises Unreachable where it cannot be started.
    """
    if site.found:
        yield Running.by_others(site)
        return
    with started_stack(site, workers, say) as running:
        yield running


@contextlib.contextmanager
def started_stack(site: Site, workers: int, say: Say) -> Iterator[Running]:
    """A new stack, stopped when the block ends, on Ctrl-C and on SIGTERM too.

    Raises Refused where one runs on this home already, Unreachable where it cannot be started.
    """
    stack = Stack(site, workers, say)
    with _interrupted_by_signals():
        stack.start()
        try:
            yield Running(site=Site.find(site.settings.home), tend=stack.tend, keep=stack.keep)
        finally:
            with _deaf_to_signals():
                stack.stop()


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Whatever asks this process to end does it as Ctrl-C does, so that the stack is stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextlib.contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """Stopping is bounded in time; a second Ctrl-C must not leave half of it running."""
    with _handled(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _nothing() -> None:
    """The stack is somebody else's."""
