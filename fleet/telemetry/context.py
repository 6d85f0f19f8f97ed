"""The trace of a run between processes: W3C Trace Context, level 1, in one string."""

import re

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

# OpenTelemetry's propagator reads any carrier, and takes six times as long.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def context_of(traceparent: str | None) -> Context:
    """The context that a span continues `traceparent` in. Absent or malformed: a new trace."""
    # Into an empty context: what is current here is no parent of what came from elsewhere.
    told = _TRACEPARENT.fullmatch(traceparent or "")
    if told is None or told[1] == "ff" or (told[1] == "00" and told[5]):
        return Context()
    continued = SpanContext(int(told[2], 16), int(told[3], 16), True, TraceFlags(int(told[4], 16)))
    if not continued.is_valid:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(continued), Context())


def traceparent_of(span: Span) -> str | None:
    """The traceparent that continues `span`; None where no trace is recorded."""
    told = span.get_span_context()
    if not told.is_valid:
        return None
    return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"
