"""The spans of one delivery, with OpenTelemetry's messaging names."""

import contextlib
from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contracts.envelope import Envelope
from fleet.bus.receiver import Delivery

_PROPAGATOR = TraceContextTextMapPropagator()


@contextlib.contextmanager
def process_span(tracer: Tracer, envelope: Envelope, delivery: Delivery) -> Iterator[Span]:
    """`process <queue>`: from claim to settlement, in the trace of the run."""
    carrier = {"traceparent": envelope.traceparent} if envelope.traceparent else {}
    with tracer.start_as_current_span(
        f"process {delivery.queue}",
        context=_PROPAGATOR.extract(carrier),
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "servicebus",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": delivery.queue,
            "messaging.message.id": envelope.message_id,
            "messaging.message.conversation_id": envelope.run,
            "leaf.run": envelope.run,
            "leaf.task": envelope.task,
            "leaf.stage": envelope.stage,
            "leaf.partition": envelope.partition,
            "leaf.lane": envelope.lane,
            "leaf.attempt": envelope.attempt,
            "leaf.delivery": delivery.count,
        },
    ) as span:
        yield span


def traceparent_of(span: Span) -> str | None:
    """The W3C traceparent that continues `span`; None where it is not recorded."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    return carrier.get("traceparent")
