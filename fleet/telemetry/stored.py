"""Spans on their way into the local trace store.

Each that is handed over becomes a row, with those within it, redacted; rows go to the store
together, when there are many or after a second. The log lines of one that goes on are not kept
waiting for its end: they go ahead, as rows of their own. The store takes them without anybody
waiting, and no thread is needed: one would take the interpreter's lock from the event loop for
milliseconds at a time.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from opentelemetry.sdk.trace import Event
from opentelemetry.trace import SpanKind, StatusCode

from contracts.fact import JsonObject
from fleet.ledger.spans import SHARED, FinishedSpan, Inner
from fleet.telemetry import names
from fleet.telemetry.lines import EVENT, kept
from fleet.telemetry.redact import redacted, redacted_values
from fleet.telemetry.tracer import LocalSpan

_BATCH = 512
_EVERY = 1.0
"""Seconds."""
_LONGEST_WAIT = 30.0
"""Seconds between two rows with log lines of one span that goes on."""
_STACK = "exception.stacktrace"
_KINDS = {kind: kind.name.lower() for kind in SpanKind}
_STATUSES = {code: code.name.lower() for code in StatusCode}

_log = logging.getLogger(__name__)


class SpanStore(Protocol):
    """Where spans are kept: the ledger is one."""

    def put_spans(self, spans: Sequence[FinishedSpan], lost: Callable[[Exception], None]) -> None:
        """Keep these spans, without waiting; `lost` is told why they are not. From any thread."""


class StoredSpans:
    """Takes spans as they end, in any thread. Made in the event loop that then keeps the time;
    without one, rows wait for the end. `every`: seconds until rows go."""

    def __init__(self, store: SpanStore, every: float = _EVERY) -> None:
        self._store, self._every = store, every
        self._telling: dict[LocalSpan, _Pace] = {}
        self._rows: deque[FinishedSpan] = deque()  # appended to and taken from without a lock
        self._timed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    def on_end(self, span: LocalSpan) -> None:
        """Take one, and those within it."""
        if self._telling:
            for one in (span, *span.within):
                self._telling.pop(one, None)
        self._rows.append(finished(span))
        if len(self._rows) >= _BATCH:
            self.force_flush()
        else:
            self._time()

    def on_event(self, span: LocalSpan) -> None:
        """One that goes on has something to tell."""
        if span.attributes and names.TASK in span.attributes:
            pace = self._telling.setdefault(span, _Pace(self._every, time.monotonic()))
            pace.waiting = True
            self._time()

    def force_flush(self) -> None:
        """Give the store what there is."""
        rows: list[FinishedSpan] = []
        with contextlib.suppress(IndexError):
            while True:
                rows.append(self._rows.popleft())
        if rows:
            self._store.put_spans(rows, partial(_lost, len(rows)))

    def shutdown(self) -> None:
        """Give the store what is left."""
        self.force_flush()

    def _time(self) -> None:
        if not self._timed and self._loop is not None:
            self._timed = True
            with contextlib.suppress(RuntimeError):  # the loop has ended; the end of all is near
                self._loop.call_soon_threadsafe(self._loop.call_later, self._every, self._due)

    def _due(self) -> None:
        self._timed = False
        now = time.monotonic()
        for span, pace in [*self._telling.items()]:
            if pace.waiting and pace.next <= now:
                pace.told(now)
                self._rows += lines_ahead(span)
        self.force_flush()
        if any(pace.waiting for pace in self._telling.values()):
            self._time()


class _Pace:
    """When the lines of one span go ahead: at first at once, then after longer and longer, so that
    whoever logs all the time for hours does not fill the store."""

    def __init__(self, every: float, now: float) -> None:
        self._every, self.next, self.waiting = every, now, False

    def told(self, now: float) -> None:
        self.waiting = False
        self._every = min(self._every * 2, _LONGEST_WAIT)
        self.next = now + self._every


def _lost(many: int, why: Exception) -> None:
    _log.warning("%d spans were lost: %s", many, why)


def finished(span: LocalSpan) -> FinishedSpan:
    """A finished span as a row, redacted. An exception leaves its type and message, no stack."""
    attributes = _attributes(span)
    attributes[names.SERVICE] = span.service
    run, task = attributes.get(names.RUN), attributes.get(names.TASK)
    return FinishedSpan(
        trace_id=f"{span.trace_id:032x}",
        span_id=f"{span.span_id:016x}",
        parent_id=None if span.parent_id is None else f"{span.parent_id:016x}",
        name=redacted(span.name),
        kind=_KINDS[span.kind],
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=_STATUSES[span.status.status_code],
        attributes=attributes,
        run=str(run) if run else None,
        task=str(task) if task else None,
        within=[_inner(one) for one in span.within] or None,
    )


def _inner(span: LocalSpan) -> Inner:
    return [
        f"{span.span_id:016x}",
        f"{span.parent_id:016x}",
        redacted(span.name),
        _KINDS[span.kind],
        span.start_time,
        span.end_time,
        _STATUSES[span.status.status_code],
        _attributes(span, without=SHARED),
    ]


def _attributes(span: LocalSpan, without: Sequence[str] = ()) -> JsonObject:
    told = span.attributes or {}
    if without:
        told = {name: value for name, value in told.items() if name not in without}
    attributes = redacted_values(told)
    if events := span.events:
        for event in events:
            if event.name == "exception":
                attributes |= redacted_values(without_stack(event))
        attributes |= kept(events, span.dropped_events)
    return attributes


def lines_ahead(span: LocalSpan) -> list[FinishedSpan]:
    """What a span that goes on has logged since it was last asked, as a row beneath it."""
    events, before = span.take_events(EVENT)
    lines = kept(events, before)
    facts = span.attributes or {}
    if not lines:
        return []
    run, task = (str(facts.get(name, "")) or None for name in (names.RUN, names.TASK))
    attempt = redacted_values({name: facts[name] for name in (names.ATTEMPT,) if name in facts})
    return [
        FinishedSpan(
            trace_id=f"{span.trace_id:032x}",
            span_id=f"{random.getrandbits(64):016x}",
            parent_id=f"{span.span_id:016x}",
            name=names.LINES,
            kind="internal",
            start_ns=events[0].timestamp,
            end_ns=events[-1].timestamp,
            status="unset",
            attributes={**attempt, **lines},
            run=run,
            task=task,
        )
    ]


def without_stack(event: Event) -> dict[str, object]:
    """The stack of an exception names files of this machine, line by line."""
    return {name: v for name, v in (event.attributes or {}).items() if name != _STACK}
