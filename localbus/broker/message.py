"""One message as the broker sees it: what arrived, what was added, and how it is sent on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any
from uuid import UUID

from localbus.amqp import codec, message
from localbus.amqp.types import Symbol


class State(IntEnum):
    """As `x-opt-message-state` numbers them."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


_BROKERS_OWN = frozenset(
    {
        "x-opt-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
        "x-opt-message-state",
        "x-opt-enqueue-sequence-number",
        "x-opt-deadletter-source",
        "x-opt-lock-token",
    }
)
"""Annotations the broker writes. A client that forwards a message sends the old ones along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message as it was sent, read as far as a broker must."""

    durable: bool | None
    priority: int | None
    first_acquirer: bool | None
    pairs: bytes
    pair_count: int
    bare: bytes
    ttl_ms: int | None
    message_id: str | None
    session_id: str | None
    scheduled_ms: int | None
    size: int

    def head(self, ttl_ms: int | None) -> bytes:
        """The header's fields before the delivery count, with the time to live that holds."""
        return message.render_header_fields(
            durable=self.durable,
            priority=self.priority,
            ttl_ms=ttl_ms,
            first_acquirer=self.first_acquirer,
        )


def read(payload: bytes) -> Content:
    """Take a sent message apart. Raises DecodeError."""
    header: list[Any] = []
    annotations: dict[Any, Any] = {}
    properties: list[Any] = []
    bare_from = len(payload)
    for section in message.sections(payload):
        if section.code == message.HEADER:
            header = section.value
        elif section.code == message.MESSAGE_ANNOTATIONS:
            annotations = section.value
        elif section.code >= message.PROPERTIES:
            bare_from = min(bare_from, section.start)
            if section.code == message.PROPERTIES:
                properties = section.value
    durable, priority, ttl, first_acquirer, *_ = [*header, None, None, None, None]
    ttl_ms = _integer(ttl)
    if ttl_ms is not None:
        ttl_ms = max(ttl_ms, 0)
    elif len(properties) > 9:
        expiry, creation = _integer(properties[8]), _integer(properties[9])
        if expiry is not None and creation is not None:
            ttl_ms = max(expiry - creation, 0)
    kept = {key: value for key, value in annotations.items() if key not in _BROKERS_OWN}
    message_id = properties[0] if properties else None
    session_id = properties[10] if len(properties) > 10 else None
    return Content(
        durable=durable if isinstance(durable, bool) else None,
        priority=_integer(priority),
        first_acquirer=first_acquirer if isinstance(first_acquirer, bool) else None,
        pairs=message.render_pairs(kept),
        pair_count=len(kept),
        bare=payload[bare_from:],
        ttl_ms=ttl_ms,
        # ids of different AMQP types are different ids, though they may look alike as text
        message_id=None if message_id is None else _identity(message_id),
        session_id=session_id if isinstance(session_id, str) and session_id else None,
        scheduled_ms=_integer(annotations.get("x-opt-scheduled-enqueue-time")),
        size=len(payload),
    )


def _integer(value: Any) -> int | None:
    """A number that the store can hold; what is none, or larger, counts as absent."""
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        return None
    return int(value)


def message_identity(bare: bytes) -> str | None:
    """The id of a stored message, as `Content` has it."""
    for section in message.sections(bare):
        if section.code == message.PROPERTIES and section.value and section.value[0] is not None:
            return _identity(section.value[0])
    return None


def _identity(message_id: Any) -> str:
    if isinstance(message_id, str):
        return message_id
    return f"{type(message_id).__name__}:{message_id}"


@dataclass(slots=True, kw_only=True)
class Message:
    """A stored message. `content` is None while only the store holds its bytes."""

    position: int
    mailbox: int
    sequence_number: int
    state: State
    enqueued_ms: int
    due_ms: int | None = None
    expires_ms: int | None = None
    delivery_count: int = 0
    session_id: str | None = None
    size: int = 0
    content: StoredContent | None = None
    hops: int = 0


@dataclass(frozen=True, slots=True)
class StoredContent:
    """The bytes of a stored message: header fields, annotation pairs, and the bare message."""

    head: bytes
    pairs: bytes
    pair_count: int
    bare: bytes

    def annotated(self, key: str, value: Any) -> StoredContent:
        """With an annotation, unless it has that one already."""
        if codec.encode(Symbol(key)) in self.pairs:
            return self
        pairs = self.pairs + message.render_pairs({key: value})
        return StoredContent(self.head, pairs, self.pair_count + 1, self.bare)


ENQUEUE_SEQUENCE_NUMBER = "x-opt-enqueue-sequence-number"
"""The number a message had where it was sent, when that was elsewhere."""
DEAD_LETTER_SOURCE = "x-opt-deadletter-source"
"""Where a message was dead-lettered, when it was forwarded from there."""


_STAMP = Struct(">q")


def _pair(key: str, code: int) -> bytes:
    return codec.encode(Symbol(key)) + bytes((code,))


_ENQUEUED = _pair("x-opt-enqueued-time", 0x83)
_SEQUENCE = _pair("x-opt-sequence-number", 0x81)
_LOCKED_UNTIL = _pair("x-opt-locked-until", 0x83)
_STATE = _pair("x-opt-message-state", 0x54)
_TOKEN_KEY = _pair("x-opt-lock-token", 0x98)


def render(stored: Message, *, locked_until_ms: int | None, token: UUID | None) -> bytes:
    """The message as it is delivered or peeked. Its content must be loaded."""
    content = stored.content
    assert content is not None
    pairs = b"".join(
        (
            content.pairs,
            _ENQUEUED + _STAMP.pack(stored.enqueued_ms),
            _SEQUENCE + _STAMP.pack(stored.sequence_number),
            _STATE + bytes((stored.state,)),
            b"" if locked_until_ms is None else _LOCKED_UNTIL + _STAMP.pack(locked_until_ms),
        )
    )
    count = content.pair_count + (3 if locked_until_ms is None else 4)
    parts = [message.render_header(content.head, stored.delivery_count)]
    if token is not None:
        lock = _TOKEN_KEY + token.bytes
        parts.append(message.render_annotations(message.DELIVERY_ANNOTATIONS, lock, 1))
    parts.append(message.render_annotations(message.MESSAGE_ANNOTATIONS, pairs, count))
    parts.append(content.bare)
    return b"".join(parts)
