"""Cut a byte stream into AMQP frames, and wrap bodies into frames.

A frame's size is checked before its bytes are waited for, so a peer cannot make the reader hold
more than one frame of the agreed size. Source: AMQP 1.0 part 2, section 2.3.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

HEADER_AMQP = b"AMQP\x00\x01\x00\x00"
HEADER_SASL = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

AMQP_FRAME, SASL_FRAME = 0, 1
MIN_MAX_FRAME_SIZE = 512

_HEAD = Struct(">IBBH")


class FramingError(ValueError):
    """The stream is not AMQP frames any more; only closing the connection is left."""


class Frame(NamedTuple):
    kind: int
    channel: int
    body: bytes


class FrameReader:
    """Holds what has arrived of the stream and gives whole frames, or an 8 byte protocol header."""

    def __init__(self, max_frame_size: int) -> None:
        self.max_frame_size = max_frame_size
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        self._data = self._data[self._position :] + data
        self._position = 0

    def header(self) -> bytes | None:
        """The next 8 bytes as a protocol header, or None until they are there."""
        header = self._data[self._position : self._position + 8]
        if len(header) < 8:
            return None
        self._position += 8
        return header

    def next(self) -> Frame | None:
        """The next whole frame, or None until it is there. Raises FramingError."""
        data, position = self._data, self._position
        if len(data) - position < 8:
            return None
        size, offset, kind, channel = _HEAD.unpack_from(data, position)
        if size > self.max_frame_size:
            raise FramingError(f"a frame of {size} bytes; {self.max_frame_size} were agreed")
        if offset < 2 or offset * 4 > size:
            raise FramingError(f"a frame of {size} bytes whose body begins at {offset * 4}")
        if len(data) - position < size:
            return None
        self._position = position + size
        return Frame(kind, channel, data[position + offset * 4 : self._position])


def frame(channel: int, body: bytes | bytearray, kind: int = AMQP_FRAME) -> bytes:
    """One frame around `body`."""
    return _HEAD.pack(len(body) + 8, 2, kind, channel) + body
