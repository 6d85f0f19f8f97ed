"""Rows of any database as Arrow columns: text as the source gave it, unless a type was declared.

Bronze is text so that a bad value reaches validation instead of failing the mirror, and so that a
file's schema never depends on which rows came first. A column declared otherwise is trusted; a
value that breaks the promise fails the mirror.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from contracts.outcome import FaultKind
from contracts.stage_payloads import ColumnType
from workers.stages.faults import plain
from workers.stages.handler import StageFault

ARROW: Mapping[ColumnType, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def schema_of(columns: Sequence[str], types: Mapping[str, ColumnType]) -> pa.Schema:
    """Raises StageFault (source.columns) for a repeated column or a typed one that is not there."""
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        problem = f"the query gives {', '.join(repeated)} more than once"
    elif missing := sorted(set(types) - set(columns)):
        problem = f"the query does not give {', '.join(missing)}"
    else:
        return pa.schema([(name, ARROW[types.get(name, "text")]) for name in columns])
    raise StageFault(FaultKind.PERMANENT, "source.columns", problem)


def batch_of(schema: pa.Schema, rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Rows of Python values as one batch. Raises StageFault (source.type)."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    fields = zip(schema, columns, strict=True)
    arrays = [_array(field.name, field.type, values) for field, values in fields]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(name: str, kind: pa.DataType, values: Sequence[Any]) -> Any:
    if pa.types.is_string(kind):
        try:
            return pa.array(values, kind)  # all text already: the common and fast case
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return pa.array([text_of(value) for value in values], kind)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise StageFault(
            FaultKind.BAD_INPUT,
            "source.type",
            f"column {name} holds a value that is not {kind}: {plain(error)}",
        ) from None


def text_of(value: Any) -> str | None:
    """One value as text: exact, and the same everywhere."""
    if value is None or isinstance(value, str):
        return value
    for kind, render in _RENDERED:
        if isinstance(value, kind):
            return render(value)
    return str(value)


_RENDERED: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (Decimal, lambda value: format(value, "f")),
    (datetime, lambda value: value.isoformat(sep=" ")),
    (date, lambda value: value.isoformat()),
    (bytes, lambda value: value.hex()),
    (memoryview, lambda value: value.hex()),
)
