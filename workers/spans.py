"""The spans of one delivery: processing it, and within that the handler and the settlement."""

import contextlib
import functools
from collections.abc import Iterator

from opentelemetry.trace import Span, SpanKind, Tracer

from contracts.envelope import Envelope
from fleet.bus.receiver import Delivery
from fleet.ledger.rows import Record
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
            **_messaging("process", delivery.queue),
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


@contextlib.contextmanager
def run_span(tracer: Tracer, envelope: Envelope) -> Iterator[Span]:
    """`run <kind>`: the handler alone."""
    of_task = {names.RUN: envelope.run, names.TASK: envelope.task}
    with tracer.start_as_current_span(f"run {envelope.kind}", attributes=of_task) as span:
        yield span


@contextlib.contextmanager
def settle_span(tracer: Tracer, envelope: Envelope, delivery: Delivery) -> Iterator[Span]:
    """`settle <queue>`: the last thing that happens to a delivery."""
    of_task = {names.RUN: envelope.run, names.TASK: envelope.task}
    with tracer.start_as_current_span(
        names.span_name("settle", delivery.queue),
        kind=SpanKind.CLIENT,
        attributes=of_task | _messaging("settle", delivery.queue),
    ) as span:
        yield span


def outcome_attributes(record: Record) -> dict[str, str | list[str]]:
    """What came of the attempt: its state, the rules that decided, the digests of its outputs."""
    rules = {reason.rule for decision in record.decisions for reason in decision.reasons}
    return {
        names.OUTCOME: record.state.value,
        names.RULES: sorted(rules),
        names.ARTIFACTS: [pointer.digest for pointer in record.outputs],
    }


@functools.cache  # as many as there are queues and operations
def _messaging(operation: names.Operation, queue: str) -> dict[str, str]:
    return {name: str(value) for name, value in names.messaging(operation, queue).items()}
