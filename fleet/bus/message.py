"""Our messages as the SDK's, and back. Nothing that a peer puts in a message can raise here."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from contracts.envelope import WireMessage
from contracts.fact import Fact


class Outgoing(Fact):
    """A message to publish, now or not before a time."""

    message: WireMessage
    not_before: datetime | None = None


def to_sdk(message: WireMessage) -> ServiceBusMessage:
    """The SDK's message, body as one data section."""
    # Typed as the SDK wants it: a dict's key and value types are invariant.
    properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = {}
    properties.update(message.properties.items())
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        subject=message.subject,
        content_type=message.content_type,
        application_properties=properties,
    )


def from_sdk(received: ServiceBusReceivedMessage) -> WireMessage:
    """Ours, from whatever arrived: a body that is not bytes reads as empty."""
    data = received.body_type == AmqpMessageBodyType.DATA
    properties = received.application_properties or {}
    return WireMessage(
        message_id=_text(received.message_id),
        correlation_id=_text(received.correlation_id) or None,
        subject=_text(received.subject) or None,
        content_type=_text(received.content_type) or None,
        properties={_name(name): _scalar(value) for name, value in properties.items()},
        body=b"".join(received.body) if data else b"",
    )


@lru_cache(maxsize=1024)  # the same ones with every message
def _name(name: str | bytes) -> str:
    return _text(name)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _scalar(value: Any) -> str | int | bool:
    if type(value) is bytes:
        return value.decode("utf-8", "replace")
    if isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
    return _text(value)
