"""Lists a page at a time, by keyset: a page costs the same wherever it stands in the list.

A cursor names the last row that was looked at, by the columns that order the list; what is added
meanwhile at the top moves no page. A cursor is text that came back from a browser: one that names
nothing is refused.
"""

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import JsonValue
from sqlalchemy import ColumnElement, and_, or_

from contracts.fact import Fact
from fleet.ledger.errors import UnknownRow
from fleet.ledger.types import from_micros

T = TypeVar("T")
_LARGEST = 2**63 - 1


class Page(Fact, Generic[T]):
    """Some rows of a list, and where it goes on."""

    rows: tuple[T, ...]
    next: str | None
    """A cursor; None at the end of the list."""


def cursor_of(*values: JsonValue) -> str:
    """The place behind the row that has these values."""
    told = json.dumps(values, separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def values_of(cursor: str, *kinds: type) -> list[Any]:
    """What a cursor was made of. Raises UnknownRow where it is none of this list."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        values = None
    if (
        not isinstance(values, list)
        or len(values) != len(kinds)
        or not all(map(_storable, values, kinds))
    ):
        raise _nowhere()
    return values


def time_of(value: int) -> datetime:
    """The time in a cursor. Raises UnknownRow where it is beyond any calendar."""
    try:
        return from_micros(value)
    except OverflowError:
        raise _nowhere() from None


def _storable(value: object, kind: type) -> bool:
    """Whether a row can have it: of the column's kind, in 64 bits, in UTF-8."""
    if type(value) is not kind:
        return False
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return not isinstance(value, str) or not any("\ud800" <= c <= "\udfff" for c in value)


def _nowhere() -> UnknownRow:
    return UnknownRow("there is no such place in this list; begin at its top")


def below(columns: Sequence[ColumnElement[Any]], values: Sequence[Any]) -> ColumnElement[bool]:
    """Rows behind `values` in a list that falls by `columns`.

    Spelt out, for SQL Server has no row values; with the first column's bound said by itself, which
    is what an index is entered by.
    """
    first = columns[0] <= values[0]
    cases = [
        and_(
            *(c == v for c, v in zip(columns[:n], values[:n], strict=True)), columns[n] < values[n]
        )
        for n in range(len(columns))
    ]
    return and_(first, or_(*cases))
