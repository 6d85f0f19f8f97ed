"""A client that costs nearly nothing: prepared AMQP frames over a blocking socket.

Enough to load a broker from one process; it understands only what it must to count.
"""

from __future__ import annotations

import socket
from typing import Self

from localbus.amqp import codec
from localbus.amqp import performatives as p
from localbus.amqp.frames import HEADER_AMQP, Frame, FrameReader, frame
from localbus.amqp.message import BATCH_FORMAT, DATA
from localbus.amqp.outcomes import ACCEPTED
from localbus.amqp.types import Described, Ulong

_FRAME = 60_000
_ON_THE_WAY = 100


class RawClient:
    """One connection with one session; each call uses a link of its own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader(1 << 20)
        self._handle = -1
        self._delivery = 0
        opening = frame(0, p.render(p.Open("bench", max_frame_size=65_536)))
        window = 0x7FFF_FFFF
        begin = frame(0, p.render(p.Begin(None, 0, window, window)))
        self._socket.sendall(HEADER_AMQP + opening + begin)
        while len(header := self._socket.recv(8, socket.MSG_PEEK)) < 8:
            assert header, "closed while opening"
        self._socket.recv(8)
        self._wait_for(p.Begin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _next(self) -> Frame:
        while (arrived := self._reader.next()) is None:
            data = self._socket.recv(1 << 18)
            assert data, "the broker closed the connection"
            self._reader.feed(data)
        return arrived

    def _wait_for(self, kind: type) -> None:
        while True:
            arrived = self._next()
            if arrived.body and isinstance(p.parse(arrived.body)[0], kind):
                return

    def _attach(self, queue: str, *, receiver: bool) -> int:
        self._handle += 1
        source, target = Described(Ulong(0x28), [queue]), Described(Ulong(0x29), [queue])
        name = f"link {self._handle}"
        attach = p.Attach(name, self._handle, receiver, 0, 1, source, target)
        if not receiver:
            attach = attach._replace(initial_delivery_count=0)
        self._socket.sendall(frame(0, p.render(attach)))
        self._wait_for(p.Attach)
        return self._handle

    def send(self, queue: str, body: bytes, count: int, batch: int) -> None:
        """Send `count` messages, `batch` in a transfer, and wait for all to be confirmed."""
        handle = self._attach(queue, receiver=False)
        message = codec.encode(Described(Ulong(DATA), body))
        payload = message
        if batch > 1:
            payload = codec.encode(Described(Ulong(DATA), message)) * batch
        parts = [payload[at : at + _FRAME] for at in range(0, len(payload), _FRAME)]
        most = max(_ON_THE_WAY // batch, 4)
        unconfirmed = sent = 0
        while sent < count or unconfirmed:
            out = bytearray()
            while sent < count and unconfirmed < most:
                for part in parts:
                    transfer = p.Transfer(
                        handle,
                        self._delivery,
                        b"t",
                        BATCH_FORMAT if batch > 1 else 0,
                        more=part is not parts[-1],
                    )
                    out += frame(0, p.render(transfer) + part)
                self._delivery += 1
                sent += batch
                unconfirmed += 1
            self._socket.sendall(out)
            unconfirmed -= self._confirmed()
            while (arrived := self._reader.next()) is not None:
                unconfirmed -= _is_disposition(arrived)

    def _confirmed(self) -> int:
        return _is_disposition(self._next())

    def receive(self, queue: str, count: int, credit: int = _ON_THE_WAY) -> None:
        """Receive and complete `count` messages, each completion confirmed."""
        handle = self._attach(queue, receiver=True)
        completed = received = granted = 0
        while completed < count:
            out = bytearray()
            if granted - received <= credit // 2 and granted < count:
                granted = min(received + credit, count)
                window = 0x7FFF_FFFF
                flow = p.Flow(0, window, 0, window, handle, received, granted - received)
                out += frame(0, p.render(flow))
            if out:
                self._socket.sendall(out)
            out = bytearray()
            arrived: Frame | None = self._next()
            while arrived is not None:
                if _is_disposition(arrived):
                    completed += 1
                elif arrived.body[:3] == b"\x00\x53\x14":
                    transfer, _ = p.parse(arrived.body)
                    received += 1
                    number = transfer.delivery_id
                    settled = p.Disposition(True, number, number, False, codec.decode_all(ACCEPTED))
                    out += frame(0, p.render(settled))
                arrived = self._reader.next()
            if out:
                self._socket.sendall(out)


def _is_disposition(arrived: Frame) -> int:
    return int(arrived.body[:3] == b"\x00\x53\x15")
