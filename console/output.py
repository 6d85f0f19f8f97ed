"""Where answers go: data on stdout, everything said about it on stderr.

A table or drawing is for people and may change; `--json` is for programs and is documented.
"""

import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

WIDE = 110
"""Columns from which a drawing of a run tells everything."""
PIPED_WIDTH = 160
"""Columns of a table that goes into a pipe or file, where nobody says how wide it may be."""


def say(line: str) -> None:
    """A line for the person at the terminal; never part of the answer."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def answer(line: str) -> None:
    """A line of the answer, as it is."""
    sys.stdout.write(line + "\n")


def as_json(told: "BaseModel") -> str:
    """One JSON object on one line. ASCII: whatever the words in it, no terminal is steered."""
    return told.model_dump_json(ensure_ascii=True)


def answer_json(told: "BaseModel") -> None:
    """One JSON object on one line."""
    answer(as_json(told))


def answer_rows(rows: "Iterable[BaseModel]") -> None:
    """One JSON object a line."""
    for row in rows:
        answer_json(row)
    sys.stdout.flush()


def stdout() -> "Console":
    """The console for drawings and tables of the answer."""
    return _console(stderr=False)


def stderr() -> "Console":
    """The console for live progress."""
    return _console(stderr=True)


def ascii_only() -> bool:
    """Whether stdout can show nothing but ASCII."""
    return not (sys.stdout.encoding or "").casefold().startswith("utf")


def is_wide() -> bool:
    """Whether there is room for more than the essential; always so in a pipe or file."""
    return not sys.stdout.isatty() or shutil.get_terminal_size().columns >= WIDE


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def flush() -> None:
    """Let a program that reads the answer have what there is of it."""
    sys.stdout.flush()
