"""Live progress on stderr: a drawing that redraws itself on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from rich.console import RenderableType
from rich.live import Live

from console.output import say, stderr

View = TypeVar("View")
_LINES_EVERY = 1.0
"""Seconds between two plain lines: a log is not a screen."""


class Progress(Generic[View]):
    """How a view of the work is shown, both ways."""

    def __init__(self, draw: Callable[[View], RenderableType], line: Callable[[View], str]) -> None:
        self._draw, self._line = draw, line
        self._live: Live | None = None
        self._said, self._said_at = "", float("-inf")

    @contextlib.contextmanager
    def shown(self, *, erase: bool = True) -> Iterator[None]:
        """Show what `update` brings while the block lasts. `erase`: leave nothing behind."""
        if not sys.stderr.isatty():
            yield
            return
        with Live(console=stderr(), auto_refresh=False, transient=erase) as self._live:
            yield
        self._live = None

    def update(self, view: View, *, last: bool = False) -> None:
        """Show this. A plain line appears when it says something new; the last one always."""
        if self._live is not None:
            self._live.update(self._draw(view), refresh=True)
            return
        line, now = self._line(view), time.monotonic()
        if line != self._said and (last or now - self._said_at >= _LINES_EVERY):
            say(line)
            self._said, self._said_at = line, now
