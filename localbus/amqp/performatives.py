"""The frames of AMQP 1.0 by name: their fields, which are required, and of what type.

What a peer sends is checked here, so that the state machine sees only fields of the right type.
Sources: AMQP 1.0 part 2 (transport), part 5 (security).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple

from localbus.amqp import codec
from localbus.amqp.codec import DecodeError
from localbus.amqp.types import Described, Symbol, Ubyte, Uint, Ulong, Ushort


class Open(NamedTuple):
    container_id: str
    hostname: str | None = None
    max_frame_size: int | None = None
    channel_max: int | None = None
    idle_time_out: int | None = None
    outgoing_locales: Any = None
    incoming_locales: Any = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


class Begin(NamedTuple):
    remote_channel: int | None
    next_outgoing_id: int
    incoming_window: int
    outgoing_window: int
    handle_max: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


class Attach(NamedTuple):
    name: str
    handle: int
    role: bool
    snd_settle_mode: int | None = None
    rcv_settle_mode: int | None = None
    source: Described | None = None
    target: Described | None = None
    unsettled: Any = None
    incomplete_unsettled: bool | None = None
    initial_delivery_count: int | None = None
    max_message_size: int | None = None
    offered_capabilities: Any = None
    desired_capabilities: Any = None
    properties: dict[Any, Any] | None = None


class Flow(NamedTuple):
    next_incoming_id: int | None
    incoming_window: int
    next_outgoing_id: int
    outgoing_window: int
    handle: int | None = None
    delivery_count: int | None = None
    link_credit: int | None = None
    available: int | None = None
    drain: bool | None = None
    echo: bool | None = None
    properties: dict[Any, Any] | None = None


class Transfer(NamedTuple):
    handle: int
    delivery_id: int | None = None
    delivery_tag: bytes | None = None
    message_format: int | None = None
    settled: bool | None = None
    more: bool | None = None
    rcv_settle_mode: int | None = None
    state: Described | None = None
    resume: bool | None = None
    aborted: bool | None = None
    batchable: bool | None = None


class Disposition(NamedTuple):
    role: bool
    first: int
    last: int | None = None
    settled: bool | None = None
    state: Described | None = None
    batchable: bool | None = None


class Detach(NamedTuple):
    handle: int
    closed: bool | None = None
    error: Described | None = None


class End(NamedTuple):
    error: Described | None = None


class Close(NamedTuple):
    error: Described | None = None


class SaslMechanisms(NamedTuple):
    mechanisms: Any


class SaslInit(NamedTuple):
    mechanism: Symbol
    initial_response: bytes | None = None
    hostname: str | None = None


class SaslResponse(NamedTuple):
    response: bytes


class SaslOutcome(NamedTuple):
    code: int
    additional_data: bytes | None = None


Performative = (
    Open
    | Begin
    | Attach
    | Flow
    | Transfer
    | Disposition
    | Detach
    | End
    | Close
    | SaslMechanisms
    | SaslInit
    | SaslResponse
    | SaslOutcome
)

_INT: tuple[type, ...] = (int,)
_ANY: tuple[type, ...] = (object,)
_TEXT: tuple[type, ...] = (str,)
_BINARY: tuple[type, ...] = (bytes,)
_DESCRIBED: tuple[type, ...] = (Described,)
_MAP: tuple[type, ...] = (dict,)
_BOOL: tuple[type, ...] = (bool,)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How one performative is checked: a type per field, and how many leading ones are required."""

    make: type[Any]
    types: tuple[tuple[type, ...], ...]
    required: tuple[int, ...]


_SHAPES: dict[int, _Shape] = {
    0x10: _Shape(Open, (_TEXT, _TEXT, _INT, _INT, _INT, _ANY, _ANY, _ANY, _ANY, _MAP), (0,)),
    0x11: _Shape(Begin, (_INT, _INT, _INT, _INT, _INT, _ANY, _ANY, _MAP), (1, 2, 3)),
    0x12: _Shape(
        Attach,
        (
            *(_TEXT, _INT, _BOOL, _INT, _INT, _DESCRIBED, _DESCRIBED),
            *(_ANY, _BOOL, _INT, _INT, _ANY, _ANY, _MAP),
        ),
        (0, 1, 2),
    ),
    0x13: _Shape(
        Flow,
        (_INT, _INT, _INT, _INT, _INT, _INT, _INT, _INT, _BOOL, _BOOL, _MAP),
        (1, 2, 3),
    ),
    0x14: _Shape(
        Transfer,
        (_INT, _INT, _BINARY, _INT, _BOOL, _BOOL, _INT, _DESCRIBED, _BOOL, _BOOL, _BOOL),
        (0,),
    ),
    0x15: _Shape(Disposition, (_BOOL, _INT, _INT, _BOOL, _DESCRIBED, _BOOL), (0, 1)),
    0x16: _Shape(Detach, (_INT, _BOOL, _DESCRIBED), (0,)),
    0x17: _Shape(End, (_DESCRIBED,), ()),
    0x18: _Shape(Close, (_DESCRIBED,), ()),
    0x40: _Shape(SaslMechanisms, (_ANY,), (0,)),
    0x41: _Shape(SaslInit, (_TEXT, _BINARY, _TEXT), (0,)),
    0x43: _Shape(SaslResponse, (_BINARY,), (0,)),
    0x44: _Shape(SaslOutcome, (_INT, _BINARY), (0,)),
}
_CODES: dict[type[Any], int] = {shape.make: code for code, shape in _SHAPES.items()}
_SYMBOLS = {
    f"amqp:{shape.make.__name__.lower()}:list": code
    for code, shape in _SHAPES.items()
    if code < 0x40
}


def parse(body: bytes) -> tuple[Any, int]:
    """The performative that opens a frame's body, and where its payload begins.

    Raises DecodeError for anything but a known performative with fields of the right types.
    """
    described, end = codec.decode(body)
    if not isinstance(described, Described) or not isinstance(described.value, list):
        raise DecodeError("a frame's body is not a described list")
    descriptor = described.descriptor
    if isinstance(descriptor, str):
        descriptor = _SYMBOLS.get(descriptor)
    shape = _SHAPES.get(descriptor) if isinstance(descriptor, int) else None
    if shape is None:
        raise DecodeError(f"no performative is called {described.descriptor!r}")
    fields = described.value
    if len(fields) > len(shape.types):
        raise DecodeError(f"{shape.make.__name__} has {len(shape.types)} fields, not {len(fields)}")
    for value, types, most in zip(fields, shape.types, _MOST[shape.make], strict=False):
        if value is None:
            continue
        if not isinstance(value, types):
            raise DecodeError(f"{shape.make.__name__} has a field of the wrong type")
        wide = value.__class__ is Uint and most >= 0xFFFF_FFFF  # the usual case, in range by type
        if types is _INT and not wide and not _fits(value, most):
            raise DecodeError(f"{shape.make.__name__} has a number out of its range")
    for index in shape.required:
        if index >= len(fields) or fields[index] is None:
            raise DecodeError(f"{shape.make.__name__} lacks {shape.make._fields[index]}")
    if len(fields) < len(shape.types) and not shape.make._field_defaults:
        fields = fields + [None] * (len(shape.types) - len(fields))
    return shape.make(*fields), end


def _fits(number: Any, most: int) -> bool:
    """A signed type or a boolean may hold what the field's own type does not."""
    return type(number) is not bool and bool(0 <= number <= most)


_FIELD_TYPES: dict[str, type[int]] = {
    "channel_max": Ushort,
    "remote_channel": Ushort,
    "snd_settle_mode": Ubyte,
    "rcv_settle_mode": Ubyte,
    "max_message_size": Ulong,
    "code": Ubyte,
}
"""The wire type of integer fields that are not uint."""
_LARGEST: dict[type[int], int] = {Ubyte: 0xFF, Ushort: 0xFFFF, Uint: 0xFFFF_FFFF, Ulong: 2**64 - 1}
_MOST: dict[type[Any], tuple[int, ...]] = {
    shape.make: tuple(_LARGEST[_FIELD_TYPES.get(name, Uint)] for name in shape.make._fields)
    for shape in _SHAPES.values()
}
"""The largest number of each field, for those that are numbers."""


def render(performative: Performative) -> bytes:
    """The encoding of a performative, trailing nulls left out. Ints get their field's type."""
    fields = [
        _FIELD_TYPES.get(name, Uint)(value) if type(value) is int else value
        for name, value in zip(performative._fields, performative, strict=True)
    ]
    while fields and fields[-1] is None:
        fields.pop()
    return codec.encode(Described(Ulong(_CODES[type(performative)]), fields))


_TRANSFER = Struct(">BIBI")


def render_transfer(
    handle: int, delivery_id: int, tag: bytes, *, settled: bool, more: bool
) -> bytes:
    """A transfer's performative, written by hand: it is half of what a broker sends."""
    head = _TRANSFER.pack(0x70, handle, 0x70, delivery_id)
    flags = (b"\x41" if settled else b"\x42") + (b"\x41" if more else b"\x42")
    body = head + b"\xa0" + bytes((len(tag),)) + tag + b"\x43" + flags
    return b"\x00\x53\x14\xc0" + bytes((len(body) + 1, 6)) + body


_RANGE = Struct(">BIBI")


def render_disposition(role: bool, first: int, last: int, outcome: bytes) -> bytes:
    """A settling disposition for first..last with an encoded outcome."""
    body = (b"\x41" if role else b"\x42") + _RANGE.pack(0x70, first, 0x70, last) + b"\x41" + outcome
    out = bytearray(b"\x00\x53\x15")
    codec.write_compound(out, 0xC0, 5, body)
    return bytes(out)
