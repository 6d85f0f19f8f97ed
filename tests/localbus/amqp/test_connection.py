"""The connection as a state machine, driven by frames without a socket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localbus.amqp import performatives as p
from localbus.amqp.connection import (
    Attaching,
    Closed,
    Connection,
    Credit,
    Detached,
    Limits,
    Message,
    Settlement,
)
from localbus.amqp.frames import HEADER_AMQP, HEADER_SASL, FrameReader, frame
from localbus.amqp.link import IncomingLink, OutgoingLink
from localbus.amqp.outcomes import ACCEPTED, Accepted, Error, Modified, parse_error
from localbus.amqp.types import Described, Symbol, Ulong

LIMITS = Limits(max_frame_size=1024, sessions=4, links_per_session=4)
SOURCE = Described(Ulong(0x28), ["amqps://host/q"])
TARGET = Described(Ulong(0x29), ["amqps://host/q"])


def sent(connection: Connection) -> list[Any]:
    """The performatives waiting to be sent, with their payloads; they are taken away."""
    reader = FrameReader(1 << 20)
    data = bytes(connection.outgoing).removeprefix(HEADER_AMQP)
    connection.outgoing.clear()
    reader.feed(data)
    found = []
    while (arrived := reader.next()) is not None:
        if arrived.body:
            performative, end = p.parse(arrived.body)
            found.append((performative, arrived.body[end:]) if arrived.body[end:] else performative)
    return found


def give(connection: Connection, *performatives: Any, channel: int = 0) -> list[Any]:
    """Feed frames; returns the events."""
    events = []
    for performative in performatives:
        events += connection.receive(frame(channel, p.render(performative)))
    return events


@pytest.fixture
def opened() -> Connection:
    """A connection with one session."""
    connection = Connection("here", LIMITS)
    connection.receive(HEADER_AMQP)
    give(connection, p.Open("there", max_frame_size=512), p.Begin(None, 0, 100, 100))
    sent(connection)
    return connection


def receiving(connection: Connection, handle: int = 0) -> OutgoingLink:
    """A link on which the peer receives."""
    [event] = give(connection, p.Attach(f"r{handle}", handle, True, 0, 1, SOURCE, TARGET))
    assert isinstance(event, Attaching)
    assert isinstance(event.link, OutgoingLink)
    connection.accept_link(event.link)
    return event.link


def sending(connection: Connection, handle: int = 0, limit: int = 2000) -> IncomingLink:
    """A link on which the peer sends."""
    attach = p.Attach(f"s{handle}", handle, False, 0, 0, SOURCE, TARGET, initial_delivery_count=0)
    [event] = give(connection, attach)
    assert isinstance(event, Attaching)
    assert isinstance(event.link, IncomingLink)
    connection.accept_link(event.link, max_message_size=limit)
    return event.link


def test_sasl_anonymous_leads_to_an_open_connection() -> None:
    """Header, mechanisms, outcome, header and open are answered in this order."""
    connection = Connection("here")
    init = frame(0, p.render(p.SaslInit(Symbol("ANONYMOUS"))), 1)
    everything = HEADER_SASL + init + HEADER_AMQP + frame(0, p.render(p.Open("there")))

    events = [event for byte in everything for event in connection.receive(bytes((byte,)))]

    assert events == []
    assert bytes(connection.outgoing).startswith(HEADER_SASL)
    rest = bytes(connection.outgoing).split(HEADER_AMQP)
    assert len(rest) == 2
    assert connection.peer_container == "there"


def test_a_mechanism_unknown_here_is_refused() -> None:
    """Authentication fails with a SASL outcome, and the stream ends."""
    connection = Connection("here")

    events = connection.receive(
        HEADER_SASL + frame(0, p.render(p.SaslInit(Symbol("SCRAM-SHA-1"))), 1)
    )

    assert [type(event) for event in events] == [Closed]
    assert connection.closed


def test_another_protocol_is_told_what_is_spoken_here() -> None:
    """A foreign header is answered with one of AMQP 1.0, then the stream ends."""
    connection = Connection("here")

    [event] = connection.receive(b"AMQP\x00\x00\x09\x01")

    assert isinstance(event, Closed)
    assert bytes(connection.outgoing) == HEADER_SASL


def test_an_attach_is_echoed_with_its_addresses(opened: Connection) -> None:
    """An accepted link gets its own source and target back, and a sender gets credit."""
    sending(opened)

    attach, flow = sent(opened)

    assert (attach.source, attach.target, attach.role) == (SOURCE, TARGET, True)
    assert attach.max_message_size == 2000
    assert flow.link_credit > 0


def test_a_refused_link_is_attached_without_a_terminus_and_detached(opened: Connection) -> None:
    """A refusal is an attach with null source and target, then a closing detach with the error."""
    [event] = give(opened, p.Attach("r", 0, True, 0, 1, SOURCE, TARGET))

    opened.refuse_link(event.link, Error("amqp:not-found", "no q"))

    attach, detach = sent(opened)
    assert (attach.source, attach.target) == (None, None)
    assert detach.closed
    assert parse_error(detach.error) == Error("amqp:not-found", "no q")


def test_a_message_of_many_transfers_arrives_whole(opened: Connection) -> None:
    """Transfers with more=true are put together; the message's facts are those of the first."""
    sending(opened)
    first = p.render(p.Transfer(0, 7, b"t", 0x80013700, more=True)) + b"abc"
    rest = p.render(p.Transfer(0)) + b"def"

    events = opened.receive(frame(0, first)) + opened.receive(frame(0, rest))

    [message] = events
    assert isinstance(message, Message)
    assert (message.delivery_id, message.message_format) == (7, 0x80013700)
    assert message.payload == b"abcdef"


def test_an_aborted_message_is_forgotten(opened: Connection) -> None:
    """What was sent of an aborted message does not leak into the next."""
    sending(opened)
    started = p.render(p.Transfer(0, 1, b"t", more=True)) + b"abc"
    aborted = p.render(p.Transfer(0, aborted=True))
    whole = p.render(p.Transfer(0, 2, b"u")) + b"next"

    events = [e for body in (started, aborted, whole) for e in opened.receive(frame(0, body))]

    [message] = events
    assert isinstance(message, Message)
    assert message.payload == b"next"


def test_oversize_messages_are_rejected_and_not_kept(opened: Connection) -> None:
    """Above the limit nothing is gathered; the delivery is rejected with the size condition."""
    link = sending(opened, limit=100)
    sent(opened)

    events = []
    for number in range(5):
        transfer = p.Transfer(0, 3, b"t", more=number < 4)
        events += opened.receive(frame(0, p.render(transfer) + b"x" * 50))

    [disposition] = sent(opened)
    assert events == []
    assert disposition.first == 3
    error = parse_error(disposition.state.value[0])
    assert error is not None
    assert error.condition == "amqp:link:message-size-exceeded"
    assert not opened.closed
    assert link.delivery_count == 1


def test_a_sender_never_runs_dry(opened: Connection) -> None:
    """Credit is renewed before a sender has used it up."""
    link = sending(opened)
    body = p.render(p.Transfer(0, 1, b"t")) + b"x"

    for _ in range(3000):
        opened.receive(frame(0, body))
        assert link.credit > 0


def test_credit_and_window_bound_what_is_sent(opened: Connection) -> None:
    """A link is sendable while it has credit and the session a window."""
    link = receiving(opened)
    [event] = give(opened, p.Flow(None, 2, 0, 100, 0, 0, 5))
    assert event == Credit(link)

    assert _send_all(opened, link) == 2
    give(opened, p.Flow((0x40000000 + 2), 100, 0, 100))
    assert _send_all(opened, link) == 3


def _send_all(connection: Connection, link: OutgoingLink) -> int:
    taken = 0
    while link.sendable:
        connection.send(link, b"tag", b"x", settled=True)
        taken += 1
    return taken


def test_long_messages_are_cut_to_the_peers_frames(opened: Connection) -> None:
    """No frame is larger than the peer's maximum, and all but the last say more."""
    link = receiving(opened)
    give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5))
    sent(opened)

    opened.send(link, b"tag", bytes(2000), settled=True)

    transfers = sent(opened)
    assert b"".join(payload for _, payload in transfers) == bytes(2000)
    assert [transfer.more for transfer, _ in transfers] == [True] * (len(transfers) - 1) + [False]
    assert len({transfer.delivery_id for transfer, _ in transfers}) == 1


def test_settlements_are_told_and_confirmed(opened: Connection) -> None:
    """An unsettled disposition becomes an event for each delivery and is confirmed by the host."""
    link = receiving(opened)
    give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5))
    deliveries = [opened.send(link, b"%d" % n, b"x", settled=False) for n in range(3)]
    sent(opened)
    first, last = deliveries[0].delivery_id, deliveries[2].delivery_id

    events = give(opened, p.Disposition(True, first, last, False, Described(Ulong(0x24), [])))

    assert events == [Settlement(link, delivery, Accepted(), False) for delivery in deliveries]
    opened.settle_outgoing(deliveries[0], ACCEPTED)
    [disposition] = sent(opened)
    assert (disposition.role, disposition.settled, disposition.first) == (False, True, first)
    assert give(opened, p.Disposition(True, first, None, False)) == []


def test_a_huge_range_settles_only_what_is_there(opened: Connection) -> None:
    """A disposition over four billion deliveries costs no more than the deliveries there are."""
    link = receiving(opened)
    give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5))
    delivery = opened.send(link, b"t", b"x", settled=False)

    modified = Described(Ulong(0x27), [True, False])
    events = give(opened, p.Disposition(True, 0, 0xFFFFFFFF, True, modified))

    assert events == [Settlement(link, delivery, Modified(delivery_failed=True), True)]


def test_drained_credit_is_given_back(opened: Connection) -> None:
    """After a drain the flow says that all credit is used."""
    link = receiving(opened)
    give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5, drain=True))
    sent(opened)

    opened.drained(link)

    [flow] = sent(opened)
    assert (flow.delivery_count, flow.link_credit, flow.drain) == (5, 0, True)


def test_frames_for_links_that_are_gone_are_ignored(opened: Connection) -> None:
    """What crosses a detach on the wire does no harm."""
    link = sending(opened)
    opened.detach_link(link, Error("amqp:not-found"))

    events = opened.receive(frame(0, p.render(p.Transfer(0, 1, b"t")) + b"x"))
    events += give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5), p.Detach(0, closed=True))
    events += give(opened, p.Flow(None, 100, 0, 100, 0, 0, 5), channel=3)

    assert events == []
    assert not opened.closed


def test_the_end_of_a_session_detaches_its_links(opened: Connection) -> None:
    """End and close tell the host of every link that went with them."""
    link = sending(opened)

    assert give(opened, p.End()) == [Detached(link)]
    assert [type(event) for event in give(opened, p.Close())] == [Closed]


@pytest.mark.parametrize(
    "bad",
    [
        frame(0, b"\x40"),  # not a performative
        frame(0, p.render(p.Open("again"))),
        frame(0, p.render(p.Begin(None, 0, 1, 1))),  # channel in use
        frame(99, p.render(p.Begin(None, 0, 1, 1))),  # channel too high
        frame(0, p.render(p.Attach("n", 99, True))),  # handle too high
        frame(0, p.render(p.SaslInit(Symbol("ANONYMOUS")))),
        frame(0, b"\x00\x53\x14\xc0\x03\x01\xa1\x00"),  # a transfer whose handle is text
        frame(0, b"\x00\x53\x12\x45"),  # an attach without a name
        b"\xff\xff\xff\xff\x02\x00\x00\x00",  # a frame of four gigabytes
        b"\x00\x00\x00\x08\x01\x00\x00\x00",  # a body that begins inside the header
    ],
)
def test_a_breach_of_protocol_closes_with_an_error(opened: Connection, bad: bytes) -> None:
    """Whatever is wrong, the peer is told in a close frame and nothing is read after it."""
    events = opened.receive(bad)

    [close] = sent(opened)
    assert isinstance(events[-1], Closed)
    assert isinstance(close, p.Close)
    assert parse_error(close.error) is not None
    assert opened.receive(HEADER_AMQP * 10) == []


SMALL = st.integers(0, 5)
MAYBE = st.none() | SMALL


def _made(kind: Any, *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(*fields).map(lambda values: kind(*values))


PERFORMATIVES = st.one_of(
    _made(p.Begin, st.none(), SMALL, SMALL, SMALL),
    _made(
        p.Attach,
        st.sampled_from("ab"),
        SMALL,
        st.booleans(),
        st.integers(0, 2),
        st.integers(0, 1),
        st.none() | st.just(SOURCE),
        st.none() | st.just(TARGET),
    ),
    _made(
        p.Flow,
        *(MAYBE, SMALL, SMALL, SMALL, MAYBE, MAYBE, MAYBE),
        *(st.none(), st.booleans(), st.booleans()),
    ),
    _made(
        p.Transfer,
        *(SMALL, MAYBE, st.none() | st.binary(max_size=4), st.none(), st.booleans()),
        *(st.booleans(), st.none(), st.none(), st.none(), st.booleans()),
    ),
    _made(p.Disposition, st.booleans(), SMALL, MAYBE),
    _made(p.Detach, SMALL, st.booleans()),
    _made(p.End),
)


@given(st.lists(st.tuples(st.integers(0, 5), PERFORMATIVES), max_size=30))
def test_any_order_of_frames_is_survived(steps: list[tuple[int, p.Performative]]) -> None:
    """No sequence of well-formed frames raises, whatever the host does about links."""
    connection = Connection("here", LIMITS)
    connection.receive(HEADER_AMQP)
    give(connection, p.Open("there"))

    for channel, performative in steps:
        for event in give(connection, performative, channel=channel):
            if isinstance(event, Attaching):
                connection.accept_link(event.link, max_message_size=100)
            elif isinstance(event, Credit):
                while event.link.sendable:
                    connection.send(event.link, b"t", b"x", settled=False)
            elif isinstance(event, Settlement):
                connection.settle_outgoing(event.delivery, ACCEPTED)
    assert sent(connection)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_after_open_are_survived(chunks: list[bytes]) -> None:
    """Bytes of no meaning close the connection at worst."""
    connection = Connection("here", LIMITS)
    connection.receive(HEADER_AMQP)
    give(connection, p.Open("there"), p.Begin(None, 0, 1, 1))

    for chunk in chunks:
        connection.receive(frame(0, chunk))
        connection.receive(chunk)
