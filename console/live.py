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
        self._said, self._latest, self._said_at = "", "", float("-inf")

    @contextlib.contextmanager
    def shown(self, *, erase: bool = True) -> Iterator[None]:
        """Show what `update` brings while the block lasts. `erase`: leave no drawing behind."""
        if not sys.stderr.isatty():
            try:
                yield
            finally:
                self._say(self._latest)
            return
        with Live(console=stderr(), auto_refresh=False, transient=erase) as self._live:
            yield
        self._live = None

    def update(self, view: View) -> None:
        """Show this. As plain lines: when it says something new, now and then, and at the end."""
        if self._live is not None:
            self._live.update(self._draw(view), refresh=True)
            return
        self._latest = self._line(view)
        if time.monotonic() - self._said_at >= _LINES_EVERY:
            self._say(self._latest)

    def _say(self, line: str) -> None:
        if line != self._said:
            say(line)
            self._said, self._said_at = line, time.monotonic()
