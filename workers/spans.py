"""The spans of one delivery: processing it, and within that the handler and the settlement."""

import functools

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from contracts.envelope import Envelope
from fleet.bus.receiver import Delivery
from fleet.ledger.rows import Record
from fleet.telemetry import names
from fleet.telemetry.context import context_of


def process_span(tracer: Tracer, envelope: Envelope, delivery: Delivery) -> "Current":
    """`process <queue>`: from claim to settlement, in the trace of the run."""
    count = delivery.count
    span = tracer.start_span(
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
            names.DELIVERY: count,
            names.DELIVERY_COUNT: count,
        },
    )
    return Current(span)


def run_span(tracer: Tracer, envelope: Envelope) -> "Current":
    """`run <kind>`: the handler alone. It names the attempt: its lines are read before the span
    above it is there."""
    attributes: dict[str, str | int] = {
        names.RUN: envelope.run,
        names.TASK: envelope.task,
        names.ATTEMPT: envelope.attempt,
    }
    span = tracer.start_span(f"run {envelope.kind}", attributes=attributes)
    return Current(span)


def settle_span(tracer: Tracer, envelope: Envelope, delivery: Delivery) -> "Timed":
    """`settle <queue>`: the last thing that happens to a delivery. Nothing in it asks for it."""
    of_task = {names.RUN: envelope.run, names.TASK: envelope.task}
    span = tracer.start_span(
        names.span_name("settle", delivery.queue),
        kind=SpanKind.CLIENT,
        attributes=of_task | _messaging("settle", delivery.queue),
    )
    return Timed(span)


class Timed:
    """The span fails with the block, and ends with it."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        return self._span

    def __exit__(self, kind: object, fault: BaseException | None, stack: object) -> None:
        if isinstance(fault, Exception):
            self._span.record_exception(fault)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(fault).__name__}: {fault}"))
        self._span.end()


class Current(Timed):
    """It is the current one within the block, too.

    OpenTelemetry's own way goes through two generators for each span.
    """

    def __enter__(self) -> Span:
        self._token = attach(set_span_in_context(self._span))
        return self._span

    def __exit__(self, kind: object, fault: BaseException | None, stack: object) -> None:
        detach(self._token)
        super().__exit__(kind, fault, stack)


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
