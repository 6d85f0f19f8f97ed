"""The packet: what a run has to say, as one JSON document that every presentation renders.

A packet holds titles, key figures and tables with raw values (money in integer cents, shares in
basis points), how each column is to be shown, and the digests of what it was made from. It can be
read without the fleet. `workers.stages.publish` makes it; nothing here reads or writes files.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

from contracts.fact import Fact, JsonObject

Format = Literal["text", "integer", "decimal", "money", "basis_points", "date", "status"]
Cell = str | int | bool | None
"""Integers are exact; decimals and dates are text."""

Align = Literal["auto", "left", "right"]
"""`auto` puts numbers to the right and the rest to the left."""

Tone = Literal["good", "bad", "warn", "quiet"]
"""What a status means to a reader; a presentation turns it into a colour."""

SCHEMA = "leaf.packet.v1"


class Figure(Fact):
    """One key figure."""

    label: str
    value: Cell
    format: Format
    tone: Tone | None = None
    note: str = ""


class Column(Fact):
    """A column of a table."""

    name: str
    title: str
    format: Format = "text"
    align: Align = "auto"
    width: int = 0
    """In characters, as a hint; 0 means by content."""

    @property
    def to_the_right(self) -> bool:
        """Whether cells are right-aligned."""
        return self.align == "right" or (self.align == "auto" and is_number(self.format))


class Table(Fact):
    """A table in its final order. `total` has a value under each column that is summed."""

    name: str
    title: str
    note: str = ""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    tones: dict[str, Tone] = {}
    """Tone by the text of a status cell."""
    empty: str = "Nothing to show."
    digest: str
    """Of the rows: SHA-256 of their compact JSON."""


class Origin(Fact):
    """An artifact that the packet was made from."""

    stage: str
    partition: str
    name: str
    digest: str
    rows: int | None = None


class Summary(Fact):
    """Words by an agent or by its fallback. Never a source of figures."""

    text: str
    author: str


class Packet(Fact):
    """The document. `parameters` are shown in the order given."""

    format: Literal["leaf.packet.v1"] = "leaf.packet.v1"
    name: str
    title: str
    subtitle: str = ""
    tenant: str
    parameters: JsonObject = {}
    figures: tuple[Figure, ...] = ()
    summary: Summary | None = None
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


def rows_digest(rows: tuple[tuple[Cell, ...], ...]) -> str:
    """SHA-256 of the rows as compact JSON."""
    compact = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(compact.encode()).hexdigest()


def shown(value: Cell, kind: Format) -> str:
    """A value as a reader sees it: `-1,234.56`, `18.50 %`, `yes`. Null shows as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    show = _SHOWN.get(kind)
    return str(value) if show is None else show(value)


def _hundredths(value: int) -> str:
    whole, rest = divmod(abs(value), 100)
    return f"{'-' if value < 0 else ''}{whole:,}.{rest:02}"


_SHOWN: Mapping[Format, Callable[[str | int], str]] = {
    "money": lambda value: _hundredths(int(value)),
    "basis_points": lambda value: f"{_hundredths(int(value))} %",
    "integer": lambda value: f"{int(value):,}",
    "decimal": lambda value: f"{Decimal(str(value)):,f}",
}


def is_number(kind: Format) -> bool:
    """Whether values of this format are numbers."""
    return kind in {"integer", "decimal", "money", "basis_points"}
