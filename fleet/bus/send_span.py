"""The span of one sending: `send {queue}`, however many messages it takes.

It is no message's creation context (that was promised with the envelope, maybe long before), so by
OpenTelemetry's conventions its kind is client and it links to the messages' own; the first of them
is its parent, so that a run's trace shows it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    get_current_span,
)
from opentelemetry.util.types import AttributeValue

from fleet.bus.message import Outgoing
from fleet.telemetry import names
from fleet.telemetry.context import context_of


@contextmanager
def send_span(tracer: Tracer, queue: str, messages: Sequence[Outgoing]) -> Iterator[Span]:
    """Current within the block, and fails with it. `messages`: at least one."""
    attributes: dict[str, AttributeValue] = {
        name: str(value) for name, value in names.messaging("send", queue).items()
    }
    first = messages[0].message
    if len(messages) == 1:
        attributes[names.MESSAGE_ID] = first.message_id
        if first.correlation_id is not None:
            attributes[names.CONVERSATION_ID] = first.correlation_id
    else:
        attributes[names.BATCH_COUNT] = len(messages)
    with tracer.start_as_current_span(
        names.span_name("send", queue),
        context=context_of(_traceparent(messages[0])),
        kind=SpanKind.CLIENT,
        attributes=attributes,
        links=[Link(context) for context in _contexts(messages[1:])],
    ) as span:
        try:
            yield span
        except Exception as fault:
            span.set_attribute(names.ERROR_TYPE, type(fault).__name__)
            raise


def _contexts(messages: Sequence[Outgoing]) -> list[SpanContext]:
    """Of the messages, each once: those of a fan-out have one and the same."""
    told = {text: None for each in messages if (text := _traceparent(each)) is not None}
    found = (get_current_span(context_of(text)).get_span_context() for text in told)
    return [context for context in found if context.is_valid]


def _traceparent(outgoing: Outgoing) -> str | None:
    told = outgoing.message.properties.get("traceparent")
    return told if isinstance(told, str) else None
