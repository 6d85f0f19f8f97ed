"""Log lines of a task: events of the span that is under way, kept where spans are kept.

A worker's line about a task stands on the task's `process` span, a handler's on its `run` span;
what is logged while that goes on, on rows beneath it (`stored`).
Of one span the last lines are kept, so many and so long; the tracer and `kept` see to that. A task
that logs nothing costs nothing, in the worker and in the ledger.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from opentelemetry import trace
from opentelemetry.sdk.trace import Event
from pydantic import AwareDatetime

from contracts.fact import Fact, JsonObject
from fleet.ledger.rows import SpanRow
from fleet.telemetry import names
from fleet.telemetry.logs import stack_told
from fleet.telemetry.redact import redacted

MOST_LINES = 200
"""Of one span."""
MOST_BYTES = 64 * 1024
"""Of the messages and stacks of one span, in characters."""
_LONGEST = 4096
EVENT = "log"
"""Name of the event that a line is."""


class HasName(Protocol):
    """A span, or what is known of it."""

    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=HasName)


class LogLine(Fact):
    """One line that was logged while a task was carried out."""

    at: AwareDatetime
    attempt: int | None
    """None where the trace store lacks the span that says it."""
    level: str
    logger: str
    message: str
    stack: tuple[str, ...] = ()


class SpanLines(logging.Handler):
    """Puts each record on the span under way, redacted."""

    def emit(self, record: logging.LogRecord) -> None:
        """Where no span is under way, and where it is not recorded: nothing."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        told: dict[str, str] = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage())[:_LONGEST],
        }
        if stack := stack_told(record):
            told["stack"] = "\n".join(stack)[-_LONGEST:]
        span.add_event(EVENT, told, int(record.created * 1e9))


def kept(events: Iterable[Event], left_out: int = 0) -> JsonObject:
    """A span's log lines as attributes of its row: the last ones, and how many are left out."""
    lines = [event for event in events if event.name == EVENT]
    if not lines:
        return {}
    found: list[JsonObject] = []
    room = MOST_BYTES
    for event in reversed(lines[-MOST_LINES:]):
        told = {name: redacted(str(value)) for name, value in (event.attributes or {}).items()}
        room -= sum(map(len, told.values()))
        if room < 0:
            break
        found.append({"at": event.timestamp, **told})
    left_out += len(lines) - len(found)
    attributes: JsonObject = {names.LOGS: [*reversed(found)]}
    return attributes | {names.LOGS_LEFT_OUT: left_out} if left_out else attributes


def lines_of(spans: Sequence[SpanRow]) -> list[LogLine]:
    """The lines of these spans in the order they were logged."""
    by_id = {span.span_id: span for span in spans}
    return sorted(
        (
            LogLine(
                at=datetime.fromtimestamp(line["at"] / 1e9, UTC),
                attempt=_attempt(span, by_id),
                level=line.get("level", ""),
                logger=line.get("logger", ""),
                message=line.get("message", ""),
                stack=tuple(line["stack"].split("\n")) if line.get("stack") else (),
            )
            for span in spans
            for line in _told(span)
        ),
        key=lambda line: line.at,
    )


def left_out(spans: Iterable[SpanRow]) -> int:
    """How many lines of these spans were not kept."""
    counts = (span.attributes.get(names.LOGS_LEFT_OUT, 0) for span in spans)
    return sum(count for count in counts if isinstance(count, int))


def true_spans(rows: Iterable[Named]) -> list[Named]:
    """Without the rows that only carry log lines."""
    return [row for row in rows if row.name != names.LINES]


def without_lines(span: SpanRow) -> SpanRow:
    """The span without what is told as log lines."""
    rest = {name: v for name, v in span.attributes.items() if name != names.LOGS}
    return span.model_copy(update={"attributes": rest})


def _told(span: SpanRow) -> Iterable[dict[str, Any]]:
    lines = span.attributes.get(names.LOGS)
    return [line for line in lines if isinstance(line, dict)] if isinstance(lines, list) else []


def _attempt(span: SpanRow, by_id: dict[str, SpanRow]) -> int | None:
    """What the span says, or the nearest above it."""
    seen: set[str] = set()
    above: SpanRow | None = span
    while above is not None and above.span_id not in seen:
        number = above.attributes.get(names.ATTEMPT)
        if isinstance(number, int):
            return number
        seen.add(above.span_id)
        above = by_id.get(above.parent_id or "")
    return None
