"""Take a message apart into its sections, and write the sections a broker adds.

The bare message (properties, application properties, body, footer) is carried as the bytes that
arrived; only what a broker must know is read. Source: AMQP 1.0 part 3, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from struct import Struct
from typing import Any

from localbus.amqp import codec
from localbus.amqp.codec import DecodeError
from localbus.amqp.types import Described, Symbol, Ubyte, Uint, Ulong

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES = 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78

BATCH_FORMAT = 0x80013700
"""A Service Bus batch: each data section is an encoded message."""

_NAMES = {
    "amqp:header:list": HEADER,
    "amqp:delivery-annotations:map": DELIVERY_ANNOTATIONS,
    "amqp:message-annotations:map": MESSAGE_ANNOTATIONS,
    "amqp:properties:list": PROPERTIES,
    "amqp:application-properties:map": APPLICATION_PROPERTIES,
    "amqp:data:binary": DATA,
    "amqp:amqp-sequence:list": SEQUENCE,
    "amqp:amqp-value:*": VALUE,
    "amqp:footer:map": FOOTER,
}
_KINDS: dict[int, type] = {
    HEADER: list,
    DELIVERY_ANNOTATIONS: dict,
    MESSAGE_ANNOTATIONS: dict,
    PROPERTIES: list,
    APPLICATION_PROPERTIES: dict,
    DATA: bytes,
    SEQUENCE: list,
    FOOTER: dict,
}


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its code, its value, and where its bytes are."""

    code: int
    value: Any
    start: int
    end: int


def sections(payload: bytes) -> list[Section]:
    """The sections of a message, in order. Raises DecodeError for anything else."""
    found: list[Section] = []
    position, last = 0, 0
    while position < len(payload):
        described, end = codec.decode(payload, position)
        if not isinstance(described, Described):
            raise DecodeError("a message is made of described sections")
        name = described.descriptor
        code = _NAMES.get(name) if isinstance(name, str) else name
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise DecodeError(f"no section of a message is called {name!r}")
        if code < last or (code == last and code not in {DATA, SEQUENCE}):
            raise DecodeError("a message's sections are out of order")
        kind = _KINDS.get(code)
        if kind is not None and not isinstance(described.value, kind):
            raise DecodeError(f"section {code:#x} is not a {kind.__name__}")
        found.append(Section(code, described.value, position, end))
        position, last = end, code
    return found


@dataclass(frozen=True, slots=True)
class Request:
    """A message read whole, as requests to `$cbs` and `$management` are."""

    message_id: Any = None
    reply_to: str | None = None
    application_properties: dict[Any, Any] = field(default_factory=dict)
    body: Any = None


def parse_request(payload: bytes) -> Request:
    """Read a request. Raises DecodeError."""
    message_id, reply_to, body = None, None, None
    application_properties: dict[Any, Any] = {}
    for section in sections(payload):
        if section.code == PROPERTIES:
            fields = [*section.value, None, None, None, None, None]
            message_id = fields[0]
            reply_to = fields[4] if isinstance(fields[4], str) else None
        elif section.code == APPLICATION_PROPERTIES:
            application_properties = section.value
        elif section.code == VALUE:
            body = section.value
    return Request(message_id, reply_to, application_properties, body)


def render_response(
    correlation_id: Any, application_properties: dict[Any, Any], body: Any = None
) -> bytes:
    """A response to a request; `correlation_id` keeps the type it came with."""
    properties = [None, None, None, None, None, correlation_id]
    out = bytearray(codec.encode(Described(Ulong(PROPERTIES), properties)))
    codec.encode_into(out, Described(Ulong(APPLICATION_PROPERTIES), application_properties))
    codec.encode_into(out, Described(Ulong(VALUE), body))
    return bytes(out)


def batched(payload: bytes) -> list[bytes]:
    """The messages inside a batch. Raises DecodeError."""
    return [section.value for section in sections(payload) if section.code == DATA]


@lru_cache(maxsize=1_024)  # the messages of one sender mostly have the same
def render_header_fields(
    *, durable: bool | None, priority: int | None, ttl_ms: int | None, first_acquirer: bool | None
) -> bytes:
    """The first four fields of a header section; `render_header` adds the delivery count."""
    fields = [
        durable,
        None if priority is None else Ubyte(priority & 0xFF),
        None if ttl_ms is None else Uint(min(ttl_ms, 0xFFFFFFFF)),
        first_acquirer,
    ]
    return b"".join(codec.encode(value) for value in fields)


def render_header(fields: bytes, delivery_count: int) -> bytes:
    """A whole header section."""
    body = fields + codec.encode(Uint(delivery_count))
    return b"\x00\x53\x70\xc0" + bytes((len(body) + 1, 5)) + body


_MAP32 = Struct(">BII")


def render_annotations(code: int, pairs: bytes, count: int) -> bytes:
    """An annotations section from `count` encoded key-value pairs."""
    head = bytes((0x00, 0x53, code))
    if len(pairs) < 255 and count < 128:
        return head + bytes((0xC1, len(pairs) + 1, 2 * count)) + pairs
    return head + _MAP32.pack(0xD1, len(pairs) + 4, 2 * count) + pairs


def render_pairs(annotations: dict[Any, Any]) -> bytes:
    """Encoded key-value pairs, for `render_annotations`."""
    out = bytearray()
    for key, value in annotations.items():
        codec.encode_into(out, Symbol(key) if type(key) is str else key)
        codec.encode_into(out, value)
    return bytes(out)


def with_properties(
    bare: bytes, properties: list[Any], application_properties: dict[Any, Any]
) -> bytes:
    """The bare message with both sections of properties replaced. Raises DecodeError."""
    out, rest = bytearray(), 0
    for section in sections(bare):
        if section.code in {PROPERTIES, APPLICATION_PROPERTIES}:
            rest = section.end
    while properties and properties[-1] is None:
        properties = properties[:-1]
    if properties:
        codec.encode_into(out, Described(Ulong(PROPERTIES), properties))
    if application_properties:
        codec.encode_into(out, Described(Ulong(APPLICATION_PROPERTIES), application_properties))
    return bytes(out) + bare[rest:]


def with_application_properties(bare: bytes, added: dict[str, Any]) -> bytes:
    """The bare message with application properties set. Raises DecodeError when it is not one."""
    before, properties, after = b"", {}, bare
    for section in sections(bare):
        if section.code == PROPERTIES:
            before, after = bare[: section.end], bare[section.end :]
        elif section.code == APPLICATION_PROPERTIES:
            properties, after = section.value, bare[section.end :]
    merged = {**properties, **added}
    return before + codec.encode(Described(Ulong(APPLICATION_PROPERTIES), merged)) + after
