"""A list looked at once, or again and again: as a table for people, as JSON lines for programs."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from console import output

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from fleet.ledger.paging import Page

Row = TypeVar("Row", bound="BaseModel")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(Generic[Row]):
    """What is looked at, and how it is shown."""

    look: Callable[[], Sequence[Row]]
    draw: "Callable[[Sequence[Row]], RenderableType]"
    nothing: str
    """Said where there are no rows."""


def rows_of(page: "Page[T]", *, watch: bool = False) -> Sequence[T]:
    """A page's rows; where there are more, it is said how to go on with them."""
    if page.next is not None and not watch:
        output.say(f"there are more: --after {page.next}")
    return page.rows


def show(looking: Looking[Row], *, as_json: bool, watch: bool = False, every: float = 1.0) -> None:
    """Show it once; or, to `watch`, every so many seconds until Ctrl-C.

    As JSON, what has not changed since the last look is not told again. A table that goes into a
    pipe or file is drawn once: nobody watches it.
    """
    if as_json:
        _tell(looking, every if watch else None)
    elif watch and sys.stdout.isatty():
        _redraw(looking, every)
    elif rows := looking.look():
        output.stdout().print(looking.draw(rows))
    else:
        output.say(looking.nothing)


def _tell(looking: Looking[Row], every: float | None) -> None:
    told: frozenset[str] = frozenset()
    while True:
        lines = [output.as_json(row) for row in looking.look()]
        for line in lines:
            if line not in told:
                output.answer(line)
        output.flush()
        if every is None:
            return
        told = frozenset(lines)
        time.sleep(every)


def _redraw(looking: Looking[Row], every: float) -> None:
    """Redraw the whole screen, and give the terminal back as it was."""
    from rich.live import Live
    from rich.text import Text

    rows = looking.look()  # what it has to say about it is said before the screen is taken
    with Live(console=output.stdout(), auto_refresh=False, screen=True) as live:
        while True:
            live.update(looking.draw(rows) if rows else Text(looking.nothing), refresh=True)
            time.sleep(every)
            rows = looking.look()
