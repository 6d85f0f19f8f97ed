"""Our messages as the SDK's, and back. Nothing that a peer puts in a message can raise here."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.amqp import (
    AmqpAnnotatedMessage,
    AmqpMessageBodyType,
    AmqpMessageProperties,
)

from contracts.envelope import WireMessage

_NOTHING = AmqpMessageProperties()


@dataclass(slots=True, kw_only=True)
class Outgoing:
    """A message to publish, now or not before a time."""

    message: WireMessage
    not_before: datetime | None = None


def to_sdk(message: WireMessage) -> AmqpAnnotatedMessage:
    """The SDK's message, body as one data section.

    The annotated one: ServiceBusMessage is built around it, property by property, which takes a
    sixth of what encoding it costs.
    """
    return AmqpAnnotatedMessage(
        data_body=message.body,
        properties=AmqpMessageProperties(
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            subject=message.subject,
            content_type=message.content_type,
        ),
        application_properties=dict(message.properties),
    )


def from_sdk(received: ServiceBusReceivedMessage) -> WireMessage:
    """Ours, from whatever arrived: a body that is not bytes reads as empty."""
    raw = received.raw_amqp_message
    told = raw.properties or _NOTHING
    data = raw.body_type == AmqpMessageBodyType.DATA
    return WireMessage(
        message_id=_text(told.message_id),
        correlation_id=_text(told.correlation_id) or None,
        subject=_text(told.subject) or None,
        content_type=_text(told.content_type) or None,
        properties={
            _name(name): _scalar(value)
            for name, value in (raw.application_properties or {}).items()
        },
        body=b"".join(raw.body) if data else b"",
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
