"""A tracer for the local trace store: OpenTelemetry's API, a tenth of its SDK's cost for a span.

The SDK copies, checks and locks for limits, samplers and exporters that the store does not have:
170 us for the three spans of a task, a fifth of all that a short task costs. Here a span is a plain
object that is handed over when it ends. Whoever exports over OTLP gets the SDK's own tracer.
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

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status()
_MOST_EVENTS = 200
"""Of one span; the oldest goes first. Whoever logs in a loop fills no memory."""


class LocalTracer(Tracer):
    """Spans of one process; each that ends is handed to `ended`, each that has a new event to
    `told`. Records unless the parent's trace is not recorded either."""

    def __init__(
        self,
        resource: Resource,
        ended: Callable[[ReadableSpan], None],
        told: "Callable[[LocalSpan], None] | None" = None,
    ) -> None:
        self._resource, self._ended, self._told = resource, ended, told

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
        parent: SpanContext | None = trace.get_current_span(context).get_span_context()
        if parent is None or not parent.is_valid:
            # Begun with the time, so that spans of one time lie together in the store's index.
            parent, trace_id = None, int(time.time()) << 96 | random.getrandbits(96)
        elif not parent.trace_flags.sampled:
            return NonRecordingSpan(parent)
        else:
            trace_id = parent.trace_id
        return LocalSpan(
            name=name,
            context=SpanContext(trace_id, random.getrandbits(64), False, _SAMPLED),
            parent=parent,
            resource=self._resource,
            attributes=dict(attributes or {}),
            events=[],
            links=links or (),
            kind=kind,
            status=_UNSET,
            start_time=start_time or time.time_ns(),
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
    """One span; written by whoever holds it, read once it has ended."""

    _left_out = 0

    def __init__(
        self,
        *,
        ended: Callable[[ReadableSpan], None],
        told: "Callable[[LocalSpan], None] | None",
        **facts: Any,
    ) -> None:
        ReadableSpan.__init__(self, **facts)
        self._ended: Callable[[ReadableSpan], None] | None = ended
        self._told = told

    def get_span_context(self) -> SpanContext:
        return self._context  # type: ignore[return-value]  # set at construction

    def is_recording(self) -> bool:
        return self._ended is not None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self._attributes[key] = value  # type: ignore[index]  # a dict, see LocalTracer

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._attributes.update(attributes)  # type: ignore[union-attr]  # the same

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        if self._ended is None:
            return
        events: list[Event] = self._events  # type: ignore[assignment]  # a list, see LocalTracer
        events.append(Event(name, attributes, timestamp))
        if len(events) > _MOST_EVENTS:
            del events[0]
            self._left_out += 1
        if self._told is not None:
            self._told(self)

    def take_events(self, name: str) -> tuple[list[Event], int]:
        """The events of this name so far, which it then forgets, and how many went before."""
        events: list[Event] = self._events  # type: ignore[assignment]  # the same
        taken = []
        with contextlib.suppress(IndexError):
            while True:  # popped one by one: another thread may be adding to them
                taken.append(events.pop(0))
        events[:0] = (event for event in taken if event.name != name)
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
        """Hand it over. Ending twice is harmless."""
        if self._ended is not None:
            self._end_time = end_time or time.time_ns()
            ended, self._ended = self._ended, None
            ended(self)
