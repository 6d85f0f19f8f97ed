"""Peers that misbehave, over real sockets: they are refused, and others do not notice."""

from __future__ import annotations

import socket

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localbus.amqp import performatives as p
from localbus.amqp.connection import Limits
from localbus.amqp.frames import HEADER_AMQP, HEADER_SASL, frame
from localbus.amqp.types import Described, Ulong
from localbus.testing import RunningBus, running_bus
from tests.localbus.conftest import QUEUE

OPEN = HEADER_AMQP + frame(0, p.render(p.Open("hostile")))
BEGIN = frame(0, p.render(p.Begin(None, 0, 1000, 1000)))
ATTACH = frame(
    0,
    p.render(
        p.Attach(
            *("s", 0, False, 0, 0),
            Described(Ulong(0x28), ["here"]),
            Described(Ulong(0x29), [QUEUE]),
        )
    ),
)
TRANSFER = frame(0, p.render(p.Transfer(0, 0, b"t")) + b"\x00\x53\x75\xa0\x01x")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # a TLS client hello
        HEADER_SASL + b"\xff\xff\xff\xff\x02\x01\x00\x00",
        OPEN + b"\x7f\xff\xff\xff\x02\x00\x00\x00",
        OPEN + frame(0, b"\x00" * 5000),
        OPEN + frame(0, b"\x00\x53\x11" + b"\xc0\xff\x01" * 5000),
        OPEN + BEGIN + BEGIN,
        OPEN + frame(65535, p.render(p.Begin(None, 0, 1, 1))),
    ],
)
def test_a_hostile_peer_is_closed_and_others_go_on(
    bus: RunningBus, client: ServiceBusClient, data: bytes
) -> None:
    """What breaks the protocol ends its own connection; a sender beside it does not notice."""
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(ServiceBusMessage("before"))
        with socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=5) as peer:
            peer.sendall(data)
            while peer.recv(4096):
                pass
        sender.send_messages(ServiceBusMessage("after"))

    assert bus.counts(QUEUE)["active"] == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        b"\xa0\x01x",  # not a section
        b"\x00\x53\x75\xa1\x01x",  # a data section that is text
        b"\x00\x53\x75\xa0\x01x\x00\x53\x70\x45",  # a header after the body
        b"\x00\x53\x77" + b"\xc0\xff\x01" * 100,
    ],
)
def test_a_message_that_is_none_is_rejected(bus: RunningBus, payload: bytes) -> None:
    """A payload that is not a message is rejected or taken empty; the connection lives on."""
    broken = frame(0, p.render(p.Transfer(0, 0, b"t")) + payload)
    with socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=5) as peer:
        peer.sendall(OPEN + BEGIN + ATTACH + broken + TRANSFER + frame(0, p.render(p.Close())))
        while peer.recv(4096):
            pass

    assert bus.counts(QUEUE)["active"] == (2 if payload == b"" else 1)


def test_connections_are_bounded() -> None:
    """Above the bound a connection is dropped at once; below it the others work on."""
    with running_bus(queues=[QUEUE], max_connections=2) as bus:
        peers = [socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=5) for _ in "abc"]
        try:
            for peer in peers[:2]:
                peer.sendall(HEADER_AMQP)
                assert peer.recv(8) == HEADER_AMQP
            try:
                peers[2].sendall(HEADER_AMQP)
                answer = peers[2].recv(8)
            except ConnectionError:
                answer = b""
            assert answer == b""
        finally:
            for peer in peers:
                peer.close()


def test_a_peer_that_falls_silent_is_closed() -> None:
    """A connection on which nothing is heard for the idle timeout is closed with an error."""
    limits = Limits(idle_timeout_ms=200)
    with (
        running_bus(queues=[QUEUE], limits=limits) as bus,
        socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=5) as peer,
    ):
        peer.sendall(OPEN)
        heard = b""
        while chunk := peer.recv(4096):
            heard += chunk

    assert b"amqp:connection:forced" in heard


def test_a_peer_with_an_idle_timeout_hears_empty_frames() -> None:
    """A peer that asks for a sign of life gets one in time."""
    with (
        running_bus(queues=[QUEUE]) as bus,
        socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=5) as peer,
    ):
        peer.sendall(HEADER_AMQP + frame(0, p.render(p.Open("anxious", idle_time_out=400))))
        heard = b""
        while not heard.endswith(b"\x00\x00\x00\x08\x02\x00\x00\x00" * 2):
            heard += peer.recv(4096)


def test_a_peer_that_does_not_read_stops_what_it_gets(
    bus: RunningBus, client: ServiceBusClient
) -> None:
    """Deliveries to a peer that leaves them unread end at a bound; the rest waits for others."""
    receive = p.Attach(
        *("r", 0, True, 1, 0),
        Described(Ulong(0x28), [QUEUE]),
        Described(Ulong(0x29), ["there"]),
    )
    flow = p.Flow(None, 100_000, 0, 100_000, 0, 0, 100_000)
    body = b"x" * 100_000
    with client.get_queue_sender(QUEUE) as sender:
        for _ in range(100):
            sender.send_messages([ServiceBusMessage(body), ServiceBusMessage(body)])

    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        peer.settimeout(5)
        peer.connect(("127.0.0.1", bus.amqp_port))
        peer.sendall(OPEN + BEGIN + frame(0, p.render(receive)) + frame(0, p.render(flow)))
        heard = b""
        while b"\x00\x53\x14" not in heard:  # the first transfer
            heard += peer.recv(4096)
        before, after = -1, bus.counts(QUEUE)["active"]
        while after != before:
            before, after = after, bus.counts(QUEUE)["active"]
    with client.get_queue_receiver(QUEUE, max_wait_time=5) as receiver:
        [other] = receiver.receive_messages()
        receiver.complete_message(other)

    assert after > 0
