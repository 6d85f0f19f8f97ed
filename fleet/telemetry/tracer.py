"""A tracer for the local trace store: OpenTelemetry's API, a tenth of its SDK's cost for a span.

The SDK copies, checks and locks for limits, samplers and exporters that the store does not have:
170 us for the three spans of a task, a fifth of all that a short task costs. Here a span is a plain
object. One that ends within a second of the start of the outermost span that it lies in stays with
that one, and they are handed over together; later ones are handed over as they end, so that a long
task is seen to go on. Whoever exports over OTLP gets the SDK's own tracer.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
)
from opentelemetry.util._decorator import _agnosticcontextmanager
from opentelemetry.util.types import Attributes, AttributeValue

from fleet.telemetry import names

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status()
_MOST_EVENTS = 200
"""Of one span; the oldest goes first. Whoever logs in a loop fills no memory."""
_MOST_WITHIN, _SOON = 32, 1_000_000_000
"""Spans that stay with the one they lie in, and nanoseconds since its start."""


class LocalTracer(Tracer):
    """Spans of one process; what ends is handed to `ended`, each that has a new event to `told`.
    Records unless the parent's trace is not recorded either."""

    def __init__(
        self,
        resource: Resource,
        ended: "Callable[[LocalSpan], None]",
        told: "Callable[[LocalSpan], None] | None" = None,
    ) -> None:
        self._resource, self._ended, self._told = resource, ended, told
        self._service = str(resource.attributes.get(names.SERVICE, ""))

    def start_span(  # noqa: PLR0917 - as the API has it
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        parent = trace.get_current_span(context)
        outer: LocalSpan | None = None
        if isinstance(parent, LocalSpan):
            trace_id, parent_id = parent.trace_id, parent.span_id
            outer = parent.outermost if parent.is_recording() else None
        else:
            above = parent.get_span_context()
            if not above.is_valid:
                # Begun with 48 bits of time: spans of one time lie together in the index.
                trace_id, parent_id = int(time.time() * 65536) << 80 | random.getrandbits(80), None
            elif not above.trace_flags.sampled:
                return NonRecordingSpan(above)
            else:
                trace_id, parent_id = above.trace_id, above.span_id
        return LocalSpan(
            name,
            (trace_id, random.getrandbits(64), parent_id),
            outer=outer,
            resource=self._resource,
            service=self._service,
            attributes=dict(attributes or {}),
            links=links or (),
            kind=kind,
            start=start_time or time.time_ns(),
            ended=self._ended,
            told=self._told,
        )

    @_agnosticcontextmanager
    def start_as_current_span(  # noqa: PLR0917 - as the API has it
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Any = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        token = attach(trace.set_span_in_context(span, context))
        try:
            yield span
        except Exception as fault:
            if record_exception:
                span.record_exception(fault)
            if set_status_on_exception:
                span.set_status(Status(StatusCode.ERROR, f"{type(fault).__name__}: {fault}"))
            raise
        finally:
            detach(token)
            if end_on_exit:
                span.end()


class LocalSpan(Span, ReadableSpan):
    """One span; written by whoever holds it, read once it has ended.

    `within`: those that lie in it and stay with it; they have ended.
    """

    # What OpenTelemetry's own constructor sets on every span, and here never differs.
    _instrumentation_info = _instrumentation_scope = None
    _left_out = 0
    _end_time: int | None = None

    def __init__(
        self,
        name: str,
        ids: tuple[int, int, int | None],
        *,
        outer: "LocalSpan | None",
        resource: Resource,
        service: str,
        attributes: dict[str, AttributeValue],
        links: Any,
        kind: SpanKind,
        start: int,
        ended: "Callable[[LocalSpan], None]",
        told: "Callable[[LocalSpan], None] | None",
    ) -> None:
        self._name, self._kind, self._resource, self._links = name, kind, resource, links
        self.trace_id, self.span_id, self.parent_id = ids
        self._attributes: dict[str, AttributeValue] = attributes
        self._events: list[Event] = []
        self._status = _UNSET
        self._start_time: int = start
        self.service = service
        self.within: list[LocalSpan] = []
        self.outermost = self if outer is None else outer
        self._ended: Callable[[LocalSpan], None] | None = ended
        self._told = told

    @property
    def context(self) -> SpanContext:
        return SpanContext(self.trace_id, self.span_id, False, _SAMPLED)

    @property
    def parent(self) -> SpanContext | None:
        if self.parent_id is None:
            return None
        return SpanContext(self.trace_id, self.parent_id, False, _SAMPLED)

    def get_span_context(self) -> SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return self._ended is not None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._attributes.update(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        if self._ended is None:
            return
        self._events.append(Event(name, attributes, timestamp))
        if len(self._events) > _MOST_EVENTS:
            del self._events[0]
            self._left_out += 1
        if self._told is not None:
            self._told(self)

    def take_events(self, name: str) -> tuple[list[Event], int]:
        """The events of this name so far, which it then forgets, and how many went before."""
        taken = []
        with contextlib.suppress(IndexError):
            while True:  # popped one by one: another thread may be adding to them
                taken.append(self._events.pop(0))
        self._events[:0] = (event for event in taken if event.name != name)
        left_out, self._left_out = self._left_out, 0
        return [event for event in taken if event.name == name], left_out

    @property
    def dropped_events(self) -> int:
        """Events that were there and went."""
        return self._left_out

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        self._links = (*self._links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """The exception's type and message; its stack would not be kept."""
        told = {
            "exception.type": type(exception).__name__,
            "exception.message": str(exception),
        } | dict(attributes or {})
        self.add_event("exception", told, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Hand it over, or leave it with the one it lies in. Ending twice is harmless."""
        if self._ended is None:
            return
        self._end_time = now = end_time or time.time_ns()
        ended, self._ended = self._ended, None
        whole = self.outermost
        if (
            whole is not self
            and whole.is_recording()
            and now - whole._start_time < _SOON
            and len(whole.within) < _MOST_WITHIN
            and self._is_of(whole)
        ):
            whole.within.append(self)
        else:
            ended(self)

    def _is_of(self, whole: "LocalSpan") -> bool:
        """Whether it speaks of no other run or task."""
        return all(
            self._attributes.get(name) in {None, whole._attributes.get(name)}
            for name in (names.RUN, names.TASK)
        )
