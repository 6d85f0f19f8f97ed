"""Spans on their way into the local trace store.

Each becomes a row as it ends, redacted; rows go to the store together, when there are many or after
a second. The store takes them without anybody waiting, and no thread is needed: one would take the
interpreter's lock from the event loop for milliseconds at a time.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from opentelemetry.sdk.trace import Event, ReadableSpan

from fleet.ledger.rows import SpanRow
from fleet.telemetry import names
from fleet.telemetry.lines import kept
from fleet.telemetry.redact import redacted, redacted_values

_BATCH = 512
_EVERY = 1.0
"""Seconds."""
_STACK = "exception.stacktrace"

_log = logging.getLogger(__name__)


class SpanStore(Protocol):
    """Where spans are kept: the ledger is one."""

    def put_spans(self, spans: Sequence[SpanRow], lost: Callable[[Exception], None]) -> None:
        """Keep these spans, without waiting; `lost` is told why they are not. From any thread."""


class StoredSpans:
    """Takes spans as they end, in any thread. Made in the event loop that then keeps the time;
    without one, rows wait for the end."""

    def __init__(self, store: SpanStore) -> None:
        self._store = store
        self._rows: deque[SpanRow] = deque()  # appended to and taken from without a lock
        self._timed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def on_end(self, span: ReadableSpan) -> None:
        """Take one."""
        self._rows.append(span_row(span))
        if len(self._rows) >= _BATCH:
            self.force_flush()
        elif not self._timed and self._loop is not None:
            self._timed = True
            with contextlib.suppress(RuntimeError):  # the loop has ended; the end of all is near
                self._loop.call_soon_threadsafe(self._loop.call_later, _EVERY, self._due)

    def force_flush(self) -> None:
        """Give the store what there is."""
        rows: list[SpanRow] = []
        with contextlib.suppress(IndexError):
            while True:
                rows.append(self._rows.popleft())
        if rows:
            self._store.put_spans(rows, partial(_lost, len(rows)))

    def shutdown(self) -> None:
        """Give the store what is left."""
        self.force_flush()

    def _due(self) -> None:
        self._timed = False
        self.force_flush()


def _lost(many: int, why: Exception) -> None:
    _log.warning("%d spans were lost: %s", many, why)


def span_row(span: ReadableSpan) -> SpanRow:
    """A finished span as a row, redacted. An exception leaves its type and message, no stack."""
    attributes = redacted_values(span.attributes or {})
    events = span.events
    for event in events:
        if event.name == "exception":
            attributes |= redacted_values(without_stack(event))
    attributes[names.SERVICE] = str(span.resource.attributes.get(names.SERVICE, ""))
    if events:
        attributes |= kept(events, span.dropped_events)
    run, task = attributes.get(names.RUN), attributes.get(names.TASK)
    context = span.get_span_context()
    return SpanRow(
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else None,
        name=redacted(span.name),
        kind=span.kind.name.lower(),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=span.status.status_code.name.lower(),
        attributes=attributes,
        run=str(run) if run else None,
        task=str(task) if task else None,
    )


def without_stack(event: Event) -> dict[str, object]:
    """The stack of an exception names files of this machine, line by line."""
    return {name: v for name, v in (event.attributes or {}).items() if name != _STACK}
