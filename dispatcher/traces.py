"""The trace of a run begins at intake: in the trace of whoever asked, where they told it."""

import contextlib
from collections.abc import Iterator

from opentelemetry.trace import Span, SpanKind, Tracer

from contracts.fact import JsonObject
from contracts.request import RunAccepted
from fleet.telemetry import names
from fleet.telemetry.context import context_of


@contextlib.contextmanager
def intake_span(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    traceparent: str | None,
    attributes: JsonObject | None = None,
) -> Iterator[Span]:
    """A span that continues `traceparent` (W3C Trace Context); a malformed one begins anew."""
    context = context_of(traceparent)
    with tracer.start_as_current_span(name, context=context, kind=kind) as span:
        for attribute, value in (attributes or {}).items():
            span.set_attribute(attribute, str(value))
        yield span


def note_run(span: Span, accepted: RunAccepted) -> None:
    """Say on the span which run it led to."""
    span.set_attributes({names.RUN: accepted.run, "leaf.run.created": accepted.created})
