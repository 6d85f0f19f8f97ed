"""The type system: round trips, agreement with azure.servicebus, and hostile bytes."""

from __future__ import annotations

import struct
from typing import Any
from uuid import UUID

import pytest
from azure.servicebus._pyamqp import _decode as sdk_decode
from azure.servicebus._pyamqp import _encode as sdk_encode
from azure.servicebus._pyamqp.message import Header, Message, Properties
from hypothesis import given
from hypothesis import strategies as st

from localbus.amqp import codec
from localbus.amqp.codec import MAX_DEPTH, DecodeError, EncodeError
from localbus.amqp.message import sections
from localbus.amqp.types import (
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    Float32,
    Int,
    Short,
    Symbol,
    Timestamp,
    Ubyte,
    Uint,
    Ulong,
    Ushort,
)


def _integers(kind: type[int], bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1
    return st.integers(low, high).map(kind)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
SYMBOLS = st.text(st.characters(max_codepoint=127), max_size=40).map(Symbol)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    _integers(Ubyte, 8, signed=False),
    _integers(Ushort, 16, signed=False),
    _integers(Uint, 32, signed=False),
    _integers(Ulong, 64, signed=False),
    _integers(Byte, 8, signed=True),
    _integers(Short, 16, signed=True),
    _integers(Int, 32, signed=True),
    _integers(int, 64, signed=True),
    _integers(Timestamp, 64, signed=True),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(Float32),
    st.characters(exclude_categories=["Cs"]).map(Char),
    TEXT,
    SYMBOLS,
    st.binary(max_size=300),
    st.uuids(),
    st.sampled_from([4, 8, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(Decimal),
)
ARRAYS = st.one_of(
    st.lists(_integers(Uint, 32, signed=False), max_size=5).map(lambda v: Array(v, 0x70)),
    st.lists(_integers(int, 64, signed=True), max_size=5).map(lambda v: Array(v, 0x81)),
    st.lists(SYMBOLS, max_size=5).map(lambda v: Array(v, 0xB3)),
    st.lists(TEXT, max_size=5).map(lambda v: Array(v, 0xB1)),
    st.lists(st.uuids(), max_size=20).map(lambda v: Array(v, 0x98)),
    st.lists(st.booleans(), max_size=5).map(lambda v: Array(v, 0x56)),
    st.lists(st.lists(SCALARS, max_size=3), max_size=3).map(lambda v: Array(v, 0xD0)),
    st.lists(st.dictionaries(SYMBOLS, SCALARS, max_size=3), max_size=3).map(
        lambda v: Array(v, 0xD1)
    ),
    st.lists(
        st.lists(st.uuids(), min_size=1, max_size=20).map(lambda v: Array(v, 0x98)), max_size=3
    ).map(lambda v: Array(v, 0xF0)),
)
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6),
        st.dictionaries(st.one_of(TEXT, SYMBOLS), inner, max_size=6),
        st.builds(Described, _integers(Ulong, 64, signed=False) | SYMBOLS, inner),
    ),
    max_leaves=20,
)


def _same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all through."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(map(type, one)) == list(map(type, other)) and all(
            key in other and _same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Described):
        return _same(one.descriptor, other.descriptor) and _same(one.value, other.value)
    return bool(one == other)


@given(VALUES)
def test_decoding_what_was_encoded_gives_the_value_back(value: Any) -> None:
    """Encode then decode is identity, wire types included."""
    assert _same(codec.decode_all(codec.encode(value)), value)


@given(VALUES)
def test_no_prefix_of_a_value_is_a_value(value: Any) -> None:
    """A value cut short is refused, wherever it is cut."""
    encoded = codec.encode(value)

    for end in range(len(encoded)):
        with pytest.raises(DecodeError):
            codec.decode_all(encoded[:end])


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    """Hostile bytes give a value or DecodeError, nothing else; what decodes encodes again."""
    try:
        value, end = codec.decode(data)
    except DecodeError:
        return

    assert 0 < end <= len(data)
    codec.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc0\x01",  # a list without its count
        b"\xd0\xff\xff\xff\xff\xff\xff\xff\xff",  # a list of four billion elements
        b"\xd1\x00\x00\x00\x04\xff\xff\xff\xfe",  # a map of two billion pairs
        b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",  # an array of four billion nulls
        b"\xb1\xff\xff\xff\xff",  # a string of four gigabytes
        b"\xc1\x02\x01\x40",  # a map with half a pair
        b"\xc1\x03\x02\x45\x40",  # a map whose key is a list
        b"\x56\x02",  # a boolean of 2
        b"\x73\x00\x11\x00\x00",  # a character beyond Unicode
        b"\xa1\x01\xff",  # a string that is not UTF-8
        b"\x3f",  # no such type
        b"",
    ],
)
def test_bytes_that_lie_about_themselves_are_refused(data: bytes) -> None:
    """Counts and sizes are checked before anything is allocated for them."""
    with pytest.raises(DecodeError):
        codec.decode(data)


@pytest.mark.parametrize("opening", [b"\xc0\xff\x01", b"\x00", b"\xe0\xff\x01\xe0"])
def test_nesting_is_bounded(opening: bytes) -> None:
    """Values nested beyond the bound are refused instead of exhausting the stack."""
    with pytest.raises(DecodeError):
        codec.decode(opening * 100_000)


def test_nesting_up_to_the_bound_passes() -> None:
    """Values nested to the bound are read."""
    value: Any = None
    for _ in range(MAX_DEPTH):
        value = [value]

    assert codec.decode_all(codec.encode(value)) == value


@pytest.mark.parametrize("value", [object(), Uint(-1), Ubyte(256), 1 << 63, "\ud800"])
def test_what_has_no_wire_form_is_refused(value: Any) -> None:
    """A Python value without an AMQP form raises EncodeError."""
    with pytest.raises(EncodeError):
        codec.encode(value)


# azure.servicebus 7.15 writes every Python int as an AMQP int of four bytes, or raises
PROPERTY_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.floats(allow_nan=False),
    st.uuids(),
)


@given(
    body=st.binary(max_size=2000),
    message_id=TEXT,
    facts=st.dictionaries(TEXT.filter(bool), TEXT.filter(bool) | PROPERTY_VALUES, max_size=6),
    annotations=st.dictionaries(SYMBOLS, PROPERTY_VALUES, max_size=3),
    ttl=st.none() | st.integers(1, 0xFFFFFFFF),
)
def test_messages_of_the_sdk_are_read_as_it_meant_them(
    body: bytes,
    message_id: str,
    facts: dict[str | bytes, Any],
    annotations: dict[Any, Any],
    ttl: int,
) -> None:
    """A message that azure.servicebus encodes is read here with the same values."""
    out = bytearray()
    sdk_encode.encode_payload(
        out,
        Message(
            header=Header(ttl=ttl, durable=True),
            properties=Properties(message_id=message_id),
            application_properties=dict(facts),
            message_annotations=dict(annotations),
            data=[body],
        ),
    )

    read = {section.code: section.value for section in sections(bytes(out))}

    assert read[0x70][:3] == [True, None, ttl]
    assert read[0x73][0] == message_id
    assert read.get(0x74, {}) == facts
    assert read.get(0x72, {}) == annotations
    assert read[0x75] == body


@given(st.dictionaries(TEXT, TEXT | PROPERTY_VALUES, max_size=8), st.binary(max_size=300))
def test_the_sdk_reads_what_is_written_here(facts: dict[str, Any], body: bytes) -> None:
    """Sections written here are decoded by azure.servicebus to the same values."""
    encoded = codec.encode(Described(Ulong(0x74), facts)) + codec.encode(
        Described(Ulong(0x75), body)
    )

    message = sdk_decode.decode_payload(memoryview(encoded))

    assert message.data == [body]
    assert message.application_properties == {
        key.encode(): value.encode() if isinstance(value, str) else value
        for key, value in facts.items()
    }


def test_types_are_told_apart_on_the_wire() -> None:
    """Each integer type has its own code; zero and small values take the short form."""
    assert codec.encode(Uint(0)) == b"\x43"
    assert codec.encode(Ulong(5)) == b"\x53\x05"
    assert codec.encode(5) == b"\x55\x05"
    assert codec.encode(Int(-1)) == b"\x54\xff"
    assert codec.encode(Timestamp(1)) == b"\x83" + struct.pack(">q", 1)
    assert codec.encode(UUID(int=1)) == b"\x98" + bytes(15) + b"\x01"
