"""AMQP 1.0 values as Python values, keeping the type they had on the wire.

A value decoded and encoded again is the same bytes in meaning: what Python has one type for and
AMQP has many (integers, text) is a subclass that remembers. A bare `int` is an AMQP long, a bare
`float` a double, a bare `str` a string. Source: AMQP 1.0 part 1, types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID


class Ubyte(int):
    """Unsigned 8 bit."""

    __slots__ = ()


class Ushort(int):
    """Unsigned 16 bit."""

    __slots__ = ()


class Uint(int):
    """Unsigned 32 bit."""

    __slots__ = ()


class Ulong(int):
    """Unsigned 64 bit."""

    __slots__ = ()


class Byte(int):
    """Signed 8 bit."""

    __slots__ = ()


class Short(int):
    """Signed 16 bit."""

    __slots__ = ()


class Int(int):
    """Signed 32 bit."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the Unix epoch, UTC."""

    __slots__ = ()


class Float32(float):
    """IEEE 754 single precision; a bare `float` is a double."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class Symbol(str):
    """ASCII text naming something: a condition, a capability, a key."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Decimal:
    """A decimal of 4, 8 or 16 bytes, carried unread: nothing in a broker computes with it."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor: a section, an outcome, a filter, or a type of the application."""

    descriptor: Any
    value: Any


class Array(list[Any]):
    """Values of one wire type. `constructor` is the code they share; see `codec.ARRAYABLE`."""

    __slots__ = ("constructor",)

    def __init__(self, values: Any = (), constructor: int = 0x40) -> None:
        super().__init__(values)
        self.constructor = constructor


Scalar = None | bool | int | float | str | bytes | UUID | Decimal
"""Everything but list, map, array and described."""
