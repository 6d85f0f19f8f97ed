"""What hostile bytes are fed to. A target returns, or raises: then it has found something.

The connection is the whole server but its sockets: `Peer` over a transport in memory, with a bus
that has a queue, a queue with sessions and a topic with a subscription.
"""

from __future__ import annotations

import asyncio
from typing import Any

from localbus.amqp import codec
from localbus.amqp.connection import Limits
from localbus.amqp.frames import HEADER_AMQP, frame
from localbus.amqp.performatives import Begin, Open, render
from localbus.broker.properties import QueueProperties, SubscriptionProperties, TopicProperties
from localbus.bus import Bus
from localbus.clock import DrivenClock
from localbus.peer import Peer
from localbus.store import Store

OPENED = HEADER_AMQP + frame(0, render(Open("fuzz"))) + frame(0, render(Begin(None, 0, 9999, 9999)))
_MOST_WRITTEN = 32 << 20


def codec_target(data: bytes) -> None:
    """A value is refused with DecodeError or can be written again, to the same bytes each time."""
    try:
        value, _ = codec.decode(data)
    except codec.DecodeError:
        return
    written = codec.encode(value)
    again = codec.encode(codec.decode_all(written))
    assert again == written


class MemoryTransport(asyncio.Transport):
    """A socket that takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.closing = False

    def write(self, data: Any) -> None:
        self.written += len(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class ConnectionTarget:
    """A server whose clients are bytes. Call it; `close` at the end."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._keep)
        self._errors: list[BaseException] = []
        self._begin()

    def _begin(self) -> None:
        self._runs = 0
        self._store = Store(None)
        self._bus = Bus(self._store, DrivenClock(), self._loop)
        namespace, now_ms = self._bus.namespace, self._bus.clock.now_ms()
        namespace.create("q", QueueProperties(), now_ms)
        namespace.create("s", QueueProperties(requires_session=True), now_ms)
        namespace.create_topic("t", TopicProperties(), now_ms)
        namespace.create_subscription("t", "u", SubscriptionProperties(), now_ms)

    def _end(self) -> None:
        self._bus.stop()
        self._store.close()

    def _keep(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._errors.append(context.get("exception") or RuntimeError(context["message"]))

    def __call__(self, data: bytes) -> None:
        """One connection: the first byte says where the stream is cut in two."""
        if self._runs == 500:  # what earlier ones sent does not pile up
            self._end()
            self._begin()
        self._runs += 1
        peers: set[Peer] = set()
        limits = Limits(max_frame_size=4096, sessions=8, links_per_session=8)
        peer = Peer(self._bus, peers, limits, container_id="fuzzed", max_peers=1)
        transport = MemoryTransport()
        peer.connection_made(transport)
        whole = OPENED + data[1:] if data[:1] >= b"\x80" else data[1:]
        at = (data[0] & 0x7F) * len(whole) // 128 if data else 0
        for part in (whole[:at], whole[at:]):
            if part and not transport.closing:
                peer.data_received(part)
                self._turn()
        peer.connection_lost(None)
        self._turn()
        if self._errors:
            raise self._errors[0]
        assert not self._bus.failure.done()
        assert not peers
        assert transport.written < _MOST_WRITTEN
        for queue in self._bus.namespace.queues():
            for mailbox in queue.mailboxes:
                assert not mailbox.consumers

    def _turn(self) -> None:
        for _ in range(3):
            self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        self._end()
        self._loop.close()
