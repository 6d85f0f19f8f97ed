"""The span of one delivery, with the messaging names of `fleet.telemetry.names`."""

import contextlib
from collections.abc import Iterator

from opentelemetry.trace import Span, SpanKind, Tracer

from contracts.envelope import Envelope
from fleet.bus.receiver import Delivery
from fleet.telemetry import names
from fleet.telemetry.context import context_of


@contextlib.contextmanager
def process_span(tracer: Tracer, envelope: Envelope, delivery: Delivery) -> Iterator[Span]:
    """`process <queue>`: from claim to settlement, in the trace of the run."""
    with tracer.start_as_current_span(
        names.span_name("process", delivery.queue),
        context=context_of(envelope.traceparent),
        kind=SpanKind.CONSUMER,
        attributes={
            names.SYSTEM: "servicebus",
            names.OPERATION: "process",
            names.OPERATION_TYPE: "process",
            names.DESTINATION: delivery.queue,
            names.MESSAGE_ID: envelope.message_id,
            names.CONVERSATION_ID: envelope.run,
            names.RUN: envelope.run,
            names.TASK: envelope.task,
            names.STAGE: envelope.stage,
            names.PARTITION: envelope.partition,
            names.LANE: envelope.lane,
            names.ATTEMPT: envelope.attempt,
            names.DELIVERY: delivery.count,
        },
    ) as span:
        yield span
