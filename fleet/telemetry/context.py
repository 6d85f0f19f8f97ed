"""The trace of a run between processes: W3C Trace Context, level 1, in one string."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()
_FIELD = "traceparent"


def context_of(traceparent: str | None) -> Context:
    """The context that a span continues `traceparent` in. Absent or malformed: a new trace."""
    carrier = {_FIELD: traceparent} if traceparent else {}
    # Into an empty context: what is current here is no parent of what came from elsewhere.
    return _PROPAGATOR.extract(carrier, context=Context())


def traceparent_of(span: Span) -> str | None:
    """The traceparent that continues `span`; None where no trace is recorded."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(_FIELD)
