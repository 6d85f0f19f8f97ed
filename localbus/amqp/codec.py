"""Encode and decode AMQP 1.0 values.

Bytes from a peer are hostile: every length and count is checked against what is there before
anything is allocated, and nesting is bounded. All that can be wrong with them is `DecodeError`.
Source: AMQP 1.0 part 1, section 1.6.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as struct_error
from typing import Any
from uuid import UUID

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

MAX_DEPTH = 32
"""How deep lists, maps, arrays and descriptors may nest. The service's own limit is not published;
real messages stay below 8."""

_U8, _U16, _U32, _U64 = Struct(">B"), Struct(">H"), Struct(">I"), Struct(">Q")
_I8, _I16, _I32, _I64 = Struct(">b"), Struct(">h"), Struct(">i"), Struct(">q")
_F32, _F64 = Struct(">f"), Struct(">d")

Decoded = tuple[Any, int]
"""A value and the position after it."""


class DecodeError(ValueError):
    """These bytes are not AMQP values, or go past a bound. Nothing was taken from them."""


class EncodeError(ValueError):
    """This Python value has no AMQP form."""


def decode(data: bytes, position: int = 0, depth: int = 0) -> Decoded:
    """Read one value at `position`; returns it and the position after it. Raises DecodeError."""
    if depth > MAX_DEPTH:
        raise DecodeError(f"values nest deeper than {MAX_DEPTH}")
    try:
        return _BY_CODE[data[position]](data, position + 1, depth)
    except KeyError:
        raise DecodeError(f"no AMQP type has the code {data[position]:#04x}") from None
    except (IndexError, struct_error):
        raise DecodeError("the value ends before its last byte") from None


def decode_all(data: bytes) -> Any:
    """Read the single value that fills `data`. Raises DecodeError."""
    value, end = decode(data)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes follow the value")
    return value


def _fixed(
    unpack: Struct, wrap: Callable[[Any], Any] | None
) -> Callable[[bytes, int, int], Decoded]:
    size, read = unpack.size, unpack.unpack_from
    if wrap is None:
        return lambda data, position, depth: (read(data, position)[0], position + size)
    return lambda data, position, depth: (wrap(read(data, position)[0]), position + size)


def _constant(value: Any) -> Callable[[bytes, int, int], Decoded]:
    return lambda data, position, depth: (value, position)


def _boolean(data: bytes, position: int, depth: int) -> Decoded:
    if data[position] > 1:
        raise DecodeError("a boolean is 0 or 1")
    return data[position] == 1, position + 1


def _char(data: bytes, position: int, depth: int) -> Decoded:
    point = _U32.unpack_from(data, position)[0]
    if point > 0x10FFFF:
        raise DecodeError(f"{point:#x} is not a Unicode character")
    return Char(chr(point)), position + 4


def _decimal(size: int) -> Callable[[bytes, int, int], Decoded]:
    def read(data: bytes, position: int, depth: int) -> Decoded:
        return Decimal(bytes(_take(data, position, size))), position + size

    return read


def _uuid(data: bytes, position: int, depth: int) -> Decoded:
    return UUID(bytes=bytes(_take(data, position, 16))), position + 16


def _take(data: bytes, position: int, size: int) -> bytes:
    if position + size > len(data):
        raise DecodeError("the value ends before its last byte")
    return data[position : position + size]


def _variable(length: Struct, wrap: Callable[[bytes], Any]) -> Callable[[bytes, int, int], Decoded]:
    read, width = length.unpack_from, length.size

    def read_variable(data: bytes, position: int, depth: int) -> Decoded:
        start = position + width
        end = start + read(data, position)[0]
        if end > len(data):
            raise DecodeError("the value ends before its last byte")
        return wrap(data[start:end]), end

    return read_variable


def _text(raw: bytes) -> str:
    try:
        # surrogates would decode but not encode again, and UTF-8 forbids them: strict refuses both
        return raw.decode()
    except UnicodeDecodeError:
        raise DecodeError("a string is not UTF-8") from None


def _symbol(raw: bytes) -> Symbol:
    try:
        return Symbol(raw.decode("ascii"))
    except UnicodeDecodeError:
        raise DecodeError("a symbol is not ASCII") from None


def _compound(data: bytes, position: int, width: Struct) -> tuple[int, int, int]:
    """The count, the position of the first element and the end of a compound value."""
    size = width.unpack_from(data, position)[0]
    start = position + width.size
    end = start + size
    if end > len(data) or size < width.size:
        raise DecodeError("a compound value ends before its last byte")
    return width.unpack_from(data, start)[0], start + width.size, end


def _list(width: Struct) -> Callable[[bytes, int, int], Decoded]:
    def read_list(data: bytes, position: int, depth: int) -> Decoded:
        count, position, end = _compound(data, position, width)
        if count > end - position:  # every element has at least its constructor
            raise DecodeError("a list counts more elements than it has bytes")
        values = []
        for _ in range(count):
            value, position = decode(data, position, depth + 1)
            values.append(value)
        if position != end:
            raise DecodeError("a list's size and elements disagree")
        return values, end

    return read_list


def _map(width: Struct) -> Callable[[bytes, int, int], Decoded]:
    def read_map(data: bytes, position: int, depth: int) -> Decoded:
        count, position, end = _compound(data, position, width)
        if count % 2 or count > end - position:
            raise DecodeError("a map's count does not fit its bytes")
        values: dict[Any, Any] = {}
        for _ in range(count // 2):
            key, position = decode(data, position, depth + 1)
            value, position = decode(data, position, depth + 1)
            try:
                values[key] = value
            except TypeError:
                raise DecodeError("a map's key is itself a list, map or array") from None
        if position != end:
            raise DecodeError("a map's size and elements disagree")
        return values, end

    return read_map


def _array(width: Struct) -> Callable[[bytes, int, int], Decoded]:
    def read_array(data: bytes, position: int, depth: int) -> Decoded:
        if depth >= MAX_DEPTH:  # an empty one too: it is written with its elements' constructor
            raise DecodeError(f"values nest deeper than {MAX_DEPTH}")
        count, position, end = _compound(data, position, width)
        if count == 0 and position == end:
            return Array(), end
        descriptor = None
        if data[position] == 0:
            descriptor, position = decode(data, position + 1, depth + 1)
            _check_descriptor(descriptor)
        code = data[position]
        position += 1
        if code == 0:
            raise DecodeError("an array's elements have one descriptor at most")
        # Elements of no width (null, true, empty list) take no bytes: their count is not bounded
        # by the size, so they are bounded here.
        if count > max(end - position, 255):
            raise DecodeError("an array counts more elements than it has bytes")
        read = _BY_CODE[code]
        values = Array(constructor=code)
        for _ in range(count):
            value, position = read(data, position, depth + 1)
            values.append(value if descriptor is None else Described(descriptor, value))
        if position != end:
            raise DecodeError("an array's size and elements disagree")
        return values, end

    return read_array


def _described(data: bytes, position: int, depth: int) -> Decoded:
    descriptor, position = decode(data, position, depth + 1)
    value, position = decode(data, position, depth + 1)
    _check_descriptor(descriptor)
    return Described(descriptor, value), position


def _check_descriptor(descriptor: Any) -> None:
    if isinstance(descriptor, (list, dict)):
        raise DecodeError("a descriptor is a scalar")


_BY_CODE: dict[int, Callable[[bytes, int, int], Decoded]] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(Uint(0)),
    0x44: _constant(Ulong(0)),
    0x45: lambda data, position, depth: ([], position),
    0x50: _fixed(_U8, Ubyte),
    0x51: _fixed(_I8, Byte),
    0x52: _fixed(_U8, Uint),
    0x53: _fixed(_U8, Ulong),
    0x54: _fixed(_I8, Int),
    0x55: _fixed(_I8, None),
    0x56: _boolean,
    0x60: _fixed(_U16, Ushort),
    0x61: _fixed(_I16, Short),
    0x70: _fixed(_U32, Uint),
    0x71: _fixed(_I32, Int),
    0x72: _fixed(_F32, Float32),
    0x73: _char,
    0x74: _decimal(4),
    0x80: _fixed(_U64, Ulong),
    0x81: _fixed(_I64, None),
    0x82: _fixed(_F64, None),
    0x83: _fixed(_I64, Timestamp),
    0x84: _decimal(8),
    0x94: _decimal(16),
    0x98: _uuid,
    0xA0: _variable(_U8, bytes),
    0xA1: _variable(_U8, _text),
    0xA3: _variable(_U8, _symbol),
    0xB0: _variable(_U32, bytes),
    0xB1: _variable(_U32, _text),
    0xB3: _variable(_U32, _symbol),
    0xC0: _list(_U8),
    0xC1: _map(_U8),
    0xD0: _list(_U32),
    0xD1: _map(_U32),
    0xE0: _array(_U8),
    0xF0: _array(_U32),
}


def encode(value: Any) -> bytes:
    """The shortest encoding of `value`. Raises EncodeError."""
    out = bytearray()
    encode_into(out, value)
    return bytes(out)


def encode_into(out: bytearray, value: Any) -> None:
    """Append the encoding of `value` to `out`. Raises EncodeError."""
    try:
        writer = _WRITERS.get(type(value))
        if writer is None:
            writer = _writer_of_subclass(value)
        writer(out, value)
    except struct_error as error:
        raise EncodeError(f"{value!r} does not fit its AMQP type: {error}") from None
    except UnicodeEncodeError:
        raise EncodeError(f"{value!r} has no encoding on the wire") from None


def _writer_of_subclass(value: Any) -> Callable[[bytearray, Any], None]:
    for kind, writer in _WRITERS.items():
        if isinstance(value, kind):
            return writer
    raise EncodeError(f"a {type(value).__name__} has no AMQP form")


def _write_bool(out: bytearray, value: Any) -> None:
    out.append(0x41 if value else 0x42)


def _write_fixed(code: int, pack: Struct) -> Callable[[bytearray, Any], None]:
    def write(out: bytearray, value: Any) -> None:
        out.append(code)
        out += pack.pack(value)

    return write


def _write_small(
    codes: tuple[int, int], small: range, pack: Struct, zero: int | None = None
) -> Callable[[bytearray, Any], None]:
    one_byte, whole = codes

    def write(out: bytearray, value: Any) -> None:
        if value == 0 and zero is not None:
            out.append(zero)
        elif value in small:
            out.append(one_byte)
            out.append(value & 0xFF)
        else:
            out.append(whole)
            out.extend(pack.pack(value))

    return write


def write_sized(out: bytearray, small: int, raw: bytes | bytearray) -> None:
    """Append `raw` under the one-byte-length code `small`, or its four-byte twin `small + 0x10`."""
    if len(raw) < 256:
        out.append(small)
        out.append(len(raw))
    else:
        out.append(small + 0x10)
        out += _U32.pack(len(raw))
    out += raw


def write_compound(out: bytearray, small: int, count: int, body: bytes | bytearray) -> None:
    """Append a list (0xC0), map (0xC1) or array (0xE0) of `count` encoded elements."""
    if len(body) < 255 and count < 256:
        out.append(small)
        out.append(len(body) + 1)
        out.append(count)
    else:
        out.append(small + 0x10)
        out += _U32.pack(len(body) + 4)
        out += _U32.pack(count)
    out += body


def _write_list(out: bytearray, value: Any) -> None:
    if not value:
        out.append(0x45)
        return
    body = bytearray()
    for item in value:
        encode_into(body, item)
    write_compound(out, 0xC0, len(value), body)


def _write_map(out: bytearray, value: Any) -> None:
    body = bytearray()
    for key, item in value.items():
        encode_into(body, key)
        encode_into(body, item)
    write_compound(out, 0xC1, 2 * len(value), body)


def _write_described(out: bytearray, value: Any) -> None:
    out.append(0x00)
    encode_into(out, value.descriptor)
    encode_into(out, value.value)


def _write_decimal(out: bytearray, value: Any) -> None:
    code = {4: 0x74, 8: 0x84, 16: 0x94}.get(len(value.raw))
    if code is None:
        raise EncodeError("a decimal has 4, 8 or 16 bytes")
    out.append(code)
    out += value.raw


def _write_array(out: bytearray, value: Any) -> None:
    if not value:
        write_compound(out, 0xE0, 0, b"\x40")
        return
    body = bytearray()
    described = isinstance(value[0], Described)
    if described:
        body.append(0x00)
        encode_into(body, value[0].descriptor)
    items = [item.value for item in value] if described else value
    code, write = ARRAYABLE.get(value.constructor, (value.constructor, None))
    if write is None:
        raise EncodeError(f"arrays of type {code:#04x} are not written")
    body.append(code)
    for item in items:
        write(body, item)
    write_compound(out, 0xE0, len(value), body)


def _element(code: int, pack: Struct) -> tuple[int, Callable[[bytearray, Any], None]]:
    return code, lambda out, value: out.extend(pack.pack(value))


def _element_sized(
    code: int, raw: Callable[[Any], bytes]
) -> tuple[int, Callable[[bytearray, Any], None]]:
    def write(out: bytearray, value: Any) -> None:
        encoded = raw(value)
        out += _U32.pack(len(encoded))
        out += encoded

    return code, write


def _element_compound(
    code: int, parts: Callable[[Any], list[Any]]
) -> tuple[int, Callable[[bytearray, Any], None]]:
    def write(out: bytearray, value: Any) -> None:
        body = bytearray()
        flat = parts(value)
        for item in flat:
            encode_into(body, item)
        out += _U32.pack(len(body) + 4)
        out += _U32.pack(len(flat))
        out += body

    return code, write


def _write_array_element(out: bytearray, value: Any) -> None:
    whole = bytearray()
    _write_array(whole, value)
    if whole[0] == 0xE0:  # an element of an array of arrays has four-byte size and count
        out += _U32.pack(whole[1] + 3) + _U32.pack(whole[2]) + whole[3:]
    else:
        out += whole[1:]


_BOOLEAN = _element(0x56, _U8)
_UINT, _ULONG = _element(0x70, _U32), _element(0x80, _U64)
_INT, _LONG = _element(0x71, _I32), _element(0x81, _I64)
_BINARY = _element_sized(0xB0, bytes)
_STRING = _element_sized(0xB1, lambda value: value.encode())
_SYMBOL = _element_sized(0xB3, lambda value: value.encode("ascii"))
_LIST = _element_compound(0xD0, list)
_MAP = _element_compound(0xD1, lambda value: [part for pair in value.items() for part in pair])
_RAW_DECIMAL: Callable[[bytearray, Any], None] = lambda out, value: out.extend(value.raw)  # noqa: E731 - a table entry

ARRAYABLE: dict[int, tuple[int, Callable[[bytearray, Any], None]]] = {
    0x40: (0x40, lambda out, value: None),
    0x41: _BOOLEAN,
    0x42: _BOOLEAN,
    0x56: _BOOLEAN,
    0x43: _UINT,
    0x52: _UINT,
    0x70: _UINT,
    0x44: _ULONG,
    0x53: _ULONG,
    0x80: _ULONG,
    0x50: _element(0x50, _U8),
    0x51: _element(0x51, _I8),
    0x60: _element(0x60, _U16),
    0x61: _element(0x61, _I16),
    0x54: _INT,
    0x71: _INT,
    0x55: _LONG,
    0x81: _LONG,
    0x72: _element(0x72, _F32),
    0x82: _element(0x82, _F64),
    0x73: (0x73, lambda out, value: out.extend(_U32.pack(ord(value)))),
    0x74: (0x74, _RAW_DECIMAL),
    0x84: (0x84, _RAW_DECIMAL),
    0x94: (0x94, _RAW_DECIMAL),
    0x83: _element(0x83, _I64),
    0x98: (0x98, lambda out, value: out.extend(value.bytes)),
    0xA0: _BINARY,
    0xB0: _BINARY,
    0xA1: _STRING,
    0xB1: _STRING,
    0xA3: _SYMBOL,
    0xB3: _SYMBOL,
    0x45: _LIST,
    0xC0: _LIST,
    0xD0: _LIST,
    0xC1: _MAP,
    0xD1: _MAP,
    0xE0: (0xF0, _write_array_element),
    0xF0: (0xF0, _write_array_element),
}
"""Constructor of an array's elements as read -> the one it is written with, and the writer."""

_WRITERS: dict[type, Callable[[bytearray, Any], None]] = {
    type(None): lambda out, value: out.append(0x40),
    bool: _write_bool,
    str: lambda out, value: write_sized(out, 0xA1, value.encode()),
    bytes: lambda out, value: write_sized(out, 0xA0, value),
    Symbol: lambda out, value: write_sized(out, 0xA3, value.encode("ascii")),
    Char: lambda out, value: out.extend(b"\x73" + _U32.pack(ord(value))),
    Uint: _write_small((0x52, 0x70), range(256), _U32, zero=0x43),
    Ulong: _write_small((0x53, 0x80), range(256), _U64, zero=0x44),
    Ubyte: _write_fixed(0x50, _U8),
    Ushort: _write_fixed(0x60, _U16),
    Byte: _write_fixed(0x51, _I8),
    Short: _write_fixed(0x61, _I16),
    Int: _write_small((0x54, 0x71), range(-128, 128), _I32),
    Timestamp: _write_fixed(0x83, _I64),
    int: _write_small((0x55, 0x81), range(-128, 128), _I64),
    Float32: _write_fixed(0x72, _F32),
    float: _write_fixed(0x82, _F64),
    UUID: lambda out, value: out.extend(b"\x98" + value.bytes),
    Decimal: _write_decimal,
    Described: _write_described,
    Array: _write_array,
    list: _write_list,
    tuple: _write_list,
    dict: _write_map,
    bytearray: lambda out, value: write_sized(out, 0xA0, value),
    memoryview: lambda out, value: write_sized(out, 0xA0, bytes(value)),
}
