"""The local trace store: finished spans, each with those that ended within it.

A short task leaves three spans, and one row: `process` with `run` and `settle` in it. Reading gives
each as a row of its own again.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from contracts.fact import Fact, JsonObject
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.many import execute_many
from fleet.ledger.moves import chunks
from fleet.ledger.rows import SpanRow
from fleet.ledger.types import AnyRow
from fleet.telemetry import names

_add = insert(tables.span)

Inner = list[Any]
"""span_id, parent_id, name, kind, start_ns, end_ns, status, attributes of a span within another;
without SHARED, and the run and task that are the outer one's."""
SHARED = (names.RUN, names.TASK, names.SERVICE)


@dataclass(kw_only=True)
class FinishedSpan:
    """A row of the store, as it is written. Ids are lower-case hex. Nobody changes one: it is not
    frozen, as a short task would pay for that with a call for each field."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str
    attributes: JsonObject
    run: str | None
    task: str | None
    within: list[Inner] | None = None


class SpanTimes(Fact):
    """When a span of a run was, and of which task; without what it says."""

    span_id: str
    parent_id: str | None
    name: str
    start_ns: int
    end_ns: int
    status: str
    task: str | None


def add_spans(
    connection: Connection, batches: Sequence[tuple[FinishedSpan, ...]]
) -> Sequence[LedgerError | None]:
    """Add finished spans."""
    rows = [vars(span) for spans in batches for span in spans]
    for some in chunks(rows):
        execute_many(connection, _add, some)
    return [None] * len(batches)


def alone(span: SpanRow) -> FinishedSpan:
    """A span with none in it."""
    return FinishedSpan(**vars(span))


def unfolded(rows: Iterable[AnyRow | FinishedSpan]) -> list[SpanRow]:
    """Every span of these rows of the store, in the order they began."""
    spans = [span for row in rows for span in _each(row)]
    return sorted(spans, key=lambda span: (span.start_ns, span.span_id))


def _each(row: AnyRow | FinishedSpan) -> Iterator[SpanRow]:
    yield SpanRow.model_validate(row, from_attributes=True)
    shared = {name: row.attributes[name] for name in SHARED if name in row.attributes}
    for span_id, parent_id, name, kind, start, end, status, attributes in row.within or ():
        yield SpanRow(
            trace_id=row.trace_id,
            span_id=span_id,
            parent_id=parent_id,
            name=name,
            kind=kind,
            start_ns=start,
            end_ns=end,
            status=status,
            attributes=attributes | shared,
            run=row.run,
            task=row.task,
        )


def times_of(rows: Iterable[AnyRow]) -> list[SpanTimes]:
    """As `unfolded`, of rows that have the columns of SpanTimes, and `within`."""
    spans = [span for row in rows for span in _times(row)]
    return sorted(spans, key=lambda span: (span.start_ns, span.span_id))


def _times(row: AnyRow) -> Iterator[SpanTimes]:
    yield SpanTimes.model_validate(row._asdict())
    for span_id, parent_id, name, _, start, end, status, _ in row.within or ():
        yield SpanTimes(
            span_id=span_id,
            parent_id=parent_id,
            name=name,
            start_ns=start,
            end_ns=end,
            status=status,
            task=row.task,
        )
