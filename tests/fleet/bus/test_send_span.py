"""The spans of what is sent, over a real bus."""

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from contracts.envelope import WireMessage
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.errors import BusUnavailable
from fleet.bus.message import Outgoing
from fleet.telemetry import names
from fleet.telemetry.tracer import LocalTracer
from localbus.testing import RunningBus

_TRACES = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]


def _messages(*traceparents: str | None) -> Sequence[Outgoing]:
    return [
        Outgoing(
            message=WireMessage(
                message_id=f"m{number}",
                correlation_id="run-1",
                properties={} if told is None else {"traceparent": told},
                body=b"{}",
            )
        )
        for number, told in enumerate(traceparents)
    ]


async def _sent(
    broker: RunningBus, store: FolderStore, *batches: Sequence[Outgoing], queue: str = "lane-a"
) -> list[ReadableSpan]:
    spans: list[ReadableSpan] = []
    tracer = LocalTracer(Resource.create(), spans.append)
    async with open_bus(broker.connection_string, store, tracer) as bus:
        for batch in batches:
            await bus.publish(queue, batch)
    return spans


async def test_a_message_is_sent_within_its_own_trace(
    broker: RunningBus, store: FolderStore
) -> None:
    """`send {queue}`, by OpenTelemetry's messaging conventions, beneath what caused the message;
    without a traceparent it begins a trace."""
    sent, alone = await _sent(broker, store, _messages(_TRACES[0]), _messages(None))

    assert (sent.name, sent.kind) == ("send lane-a", SpanKind.CLIENT)
    assert (sent.parent and sent.parent.trace_id, sent.parent and sent.parent.span_id) == (1, 1)
    assert sent.attributes == {
        "messaging.system": "servicebus",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "lane-a",
        "messaging.message.id": "m0",
        "messaging.message.conversation_id": "run-1",
    }
    assert alone.parent is None


async def test_a_batch_is_one_span_that_links_to_each_trace_once(
    broker: RunningBus, store: FolderStore
) -> None:
    """However many messages: a fan-out of 100,000 must not be as many spans."""
    [sent] = await _sent(broker, store, _messages(_TRACES[0], *[_TRACES[1]] * 50, None))

    assert (sent.attributes or {})[names.BATCH_COUNT] == 52
    assert sent.parent
    assert sent.parent.trace_id == 1
    assert [link.context.trace_id for link in sent.links] == [2]


async def test_a_sending_that_failed_says_so(broker: RunningBus, store: FolderStore) -> None:
    """With the error in the span; the caller still gets it."""
    spans: list[ReadableSpan] = []
    tracer = LocalTracer(Resource.create(), spans.append)
    async with open_bus(broker.connection_string, store, tracer) as bus:
        with pytest.raises(BusUnavailable):
            await bus.publish("no-such-queue", _messages(_TRACES[0]))

    [sent] = spans
    assert sent.status.status_code is StatusCode.ERROR
    assert (sent.attributes or {})["error.type"] == "BusUnavailable"
