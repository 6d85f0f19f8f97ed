"""The trace of a run begins at intake: in the trace of whoever asked, where they told it."""

import contextlib
from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contracts.request import RunAccepted

_PROPAGATOR = TraceContextTextMapPropagator()


@contextlib.contextmanager
def intake_span(
    tracer: Tracer, name: str, kind: SpanKind, traceparent: str | None
) -> Iterator[Span]:
    """A span that continues `traceparent` (W3C Trace Context); a malformed one begins anew."""
    carrier = {"traceparent": traceparent} if traceparent else {}
    with tracer.start_as_current_span(
        name, context=_PROPAGATOR.extract(carrier), kind=kind
    ) as span:
        yield span


def traceparent_of(span: Span) -> str | None:
    """The W3C traceparent that continues `span`; None where no trace is recorded."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")


def note_run(span: Span, accepted: RunAccepted) -> None:
    """Say on the span which run it led to."""
    span.set_attributes({"leaf.run": accepted.run, "leaf.run.created": accepted.created})
