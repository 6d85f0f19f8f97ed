"""Column types that mean the same on every database the ledger runs on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, Row, String, TypeDecorator, UnicodeText
from sqlalchemy.dialects import mssql
from sqlalchemy.types import TypeEngine

AnyRow = Row[*tuple[Any, ...]]
"""A row of a select, whatever its columns."""

Text = UnicodeText
"""Text of any length. Plain `Text` would be VARCHAR(max) on SQL Server, which keeps only what one
code page has."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware time, stored as microseconds since 1970 in UTC.

    A number compares and sorts the same everywhere; drivers drop or rewrite the zone of a timestamp
    in ways of their own. Raises ValueError for a naive time.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """A JSON value as compact text. SQL NULL is None; JSON null is not stored."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else as_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def micros(at: datetime) -> int:
    """Microseconds since 1970, as times are stored. Raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError("the ledger takes aware times only, and this one has no zone")
    return (at - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The time that was stored so. Raises OverflowError where it is beyond any calendar."""
    return _EPOCH + timedelta(microseconds=value)


_JSON = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def as_json(value: Any) -> str:
    """Compact JSON text."""
    return _JSON.encode(value)


def key(length: int = 36) -> TypeEngine[str]:
    """Text that is compared byte by byte: SQL Server's default collation ignores case."""
    binary = mssql.NVARCHAR(length, collation="Latin1_General_100_BIN2")
    return String(length).with_variant(binary, "mssql")


def sequence() -> TypeEngine[int]:
    """A growing row number. SQLite numbers rows by itself only in an INTEGER column."""
    return BigInteger().with_variant(Integer(), "sqlite")
