"""One AMQP connection as a state machine: bytes in, events out; calls in, bytes out.

The machine answers what the protocol alone decides (headers, SASL, open, begin, flow echoes, close)
and turns the rest into events for its host: a link that wants to attach, a message that arrived,
credit, a settlement. The host answers by calling methods; all bytes to send gather in `outgoing`,
so that a host can hold them back until what they promise is on disk.

A peer that breaks the protocol or a bound gets a close frame that says so, and `Closed` as the last
event; no input raises. Authentication is the host's affair: SASL ANONYMOUS, MSSBCBS, PLAIN and
EXTERNAL are all let through here, as Service Bus does for the tokens that follow on `$cbs`.
Source: AMQP 1.0 part 2 and part 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from localbus.amqp import performatives as p
from localbus.amqp.codec import DecodeError
from localbus.amqp.frames import (
    EMPTY_FRAME,
    HEADER_AMQP,
    HEADER_SASL,
    MIN_MAX_FRAME_SIZE,
    SASL_FRAME,
    FrameReader,
    FramingError,
    frame,
)
from localbus.amqp.link import Delivery, IncomingLink, Link, OutgoingLink, Session
from localbus.amqp.outcomes import (
    Accepted,
    Error,
    Outcome,
    Rejected,
    parse_error,
    parse_outcome,
    render_outcome,
)
from localbus.amqp.types import Array, Symbol

MECHANISMS = ("ANONYMOUS", "MSSBCBS", "PLAIN", "EXTERNAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one connection, and what is told to the peer about them."""

    max_frame_size: int = 65_536
    sessions: int = 256
    links_per_session: int = 256
    idle_timeout_ms: int = 240_000
    links: int = 1_024
    attach_bytes: int = 16_384
    unsettled_per_session: int = 20_000
    unsettled: int = 100_000
    partial_bytes: int = 16 << 20
    """Of messages that have not arrived whole, on all links together. One link alone may always
    gather a message of the size it was told."""


@dataclass(frozen=True, slots=True)
class Attaching:
    """A peer wants a link. Answer with `accept_link` or `refuse_link`, now or later."""

    link: Link


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message arrived on an incoming link. Answer with `settle_incoming`."""

    link: IncomingLink
    delivery_id: int
    message_format: int
    payload: bytes
    settled: bool


@dataclass(frozen=True, slots=True)
class Credit:
    """The peer changed what an outgoing link may send, or asks to drain it."""

    link: OutgoingLink


@dataclass(frozen=True, slots=True)
class Settlement:
    """The peer decided about a delivery. Unless `settled`, answer with `settle_outgoing`."""

    link: OutgoingLink
    delivery: Delivery
    outcome: Outcome
    settled: bool


@dataclass(frozen=True, slots=True)
class Detached:
    """A link is gone: the peer detached it, ended its session or closed the connection."""

    link: Link


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event: nothing is read any more; close the stream once `outgoing` is written."""

    error: Error | None = None


Event = Attaching | Message | Credit | Settlement | Detached | Closed


class _Phase(Enum):
    HEADER = auto()
    SASL_INIT = auto()
    HEADER_AFTER_SASL = auto()
    OPENING = auto()
    OPEN = auto()
    CLOSED = auto()


class _Violation(Exception):
    """The peer broke the protocol; the connection is closed with this condition."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.error = Error(condition, description)


@dataclass(slots=True)
class Connection:
    """See the module. `outgoing` is the bytes to send; whoever sends them empties it."""

    container_id: str
    limits: Limits = field(default_factory=Limits)
    outgoing: bytearray = field(default_factory=bytearray)
    sessions: dict[int, Session] = field(default_factory=dict)
    peer_container: str = ""
    peer_idle_timeout_ms: int = 0
    peer_max_frame_size: int = MIN_MAX_FRAME_SIZE
    _reader: FrameReader = field(init=False)
    _phase: _Phase = _Phase.HEADER
    _events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = FrameReader(self.limits.max_frame_size)

    def may_deliver(self, session: Session) -> bool:
        """Whether deliveries the peer has not decided about are below their bounds."""
        return len(session.unsettled) < self.limits.unsettled_per_session and (
            len(self.sessions) == 1
            or sum(len(each.unsettled) for each in self.sessions.values()) < self.limits.unsettled
        )

    @property
    def closed(self) -> bool:
        return self._phase is _Phase.CLOSED

    # -- bytes in --------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the peer; returns what happened, in order."""
        if self.closed:
            return []
        self._reader.feed(data)
        try:
            while not self.closed and self._take_next():
                pass
        except FramingError as error:
            self._fail(Error("amqp:connection:framing-error", str(error)))
        except DecodeError as error:
            self._fail(Error("amqp:decode-error", str(error)))
        except _Violation as violation:
            self._fail(violation.error)
        return self._taken()

    def _take_next(self) -> bool:
        if self._phase in {_Phase.HEADER, _Phase.HEADER_AFTER_SASL}:
            return self._take_header()
        arrived = self._reader.next()
        if arrived is None:
            return False
        self._take_frame(arrived.kind, arrived.channel, arrived.body)
        return True

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _take_header(self) -> bool:
        header = self._reader.header()
        if header is None:
            return False
        if header == HEADER_SASL and self._phase is _Phase.HEADER:
            self.outgoing += HEADER_SASL
            mechanisms = Array([Symbol(name) for name in MECHANISMS], constructor=0xA3)
            self.outgoing += frame(0, p.render(p.SaslMechanisms(mechanisms)), SASL_FRAME)
            self._phase = _Phase.SASL_INIT
        elif header == HEADER_AMQP:
            self.outgoing += HEADER_AMQP
            self._phase = _Phase.OPENING
        else:
            # part 2, 2.2: answer with a header that is spoken here, then close
            self.outgoing += HEADER_SASL
            self._phase = _Phase.CLOSED
            self._events.append(Closed(Error("amqp:not-implemented", "not an AMQP 1.0 header")))
            return False
        return True

    def _take_frame(self, kind: int, channel: int, body: bytes) -> None:
        if kind == SASL_FRAME:
            self._take_sasl(body)
            return
        if self._phase is _Phase.SASL_INIT:
            raise _Violation("amqp:not-allowed", "an AMQP frame before SASL ended")
        if not body:
            return
        performative, end = p.parse(body)
        match performative:
            case p.Transfer():
                self._take_transfer(channel, performative, body[end:])
            case p.Disposition():
                self._take_disposition(channel, performative)
            case p.Flow():
                self._take_flow(channel, performative)
            case _:
                self._take_opening_or_closing(channel, performative, len(body))

    def _take_opening_or_closing(
        self, channel: int, performative: p.Performative, size: int
    ) -> None:
        match performative:
            case p.Attach():
                if size > self.limits.attach_bytes:  # its filters and properties are kept
                    raise _Violation("amqp:resource-limit-exceeded", f"an attach of {size} bytes")
                self._take_attach(channel, performative)
            case p.Detach():
                self._take_detach(channel, performative)
            case p.Begin():
                self._take_begin(channel, performative)
            case p.End():
                self._take_end(channel)
            case p.Open():
                self._take_open(performative)
            case p.Close():
                self._take_close(performative)
            case _:
                raise _Violation("amqp:not-allowed", "a SASL performative in an AMQP frame")

    def _take_sasl(self, body: bytes) -> None:
        performative, _ = p.parse(body)
        match performative:
            case p.SaslInit(mechanism=name) if self._phase is _Phase.SASL_INIT:
                outcome = p.SaslOutcome(0 if name in MECHANISMS else 1)
                self.outgoing += frame(0, p.render(outcome), SASL_FRAME)
                if outcome.code:
                    self._phase = _Phase.CLOSED
                    self._events.append(Closed(Error("amqp:unauthorized-access", str(name))))
                else:
                    self._phase = _Phase.HEADER_AFTER_SASL
            case _:
                raise _Violation("amqp:not-allowed", "a SASL frame out of turn")

    def _take_open(self, opened: p.Open) -> None:
        if self._phase is not _Phase.OPENING:
            raise _Violation("amqp:illegal-state", "the connection is already open")
        size = 4_294_967_295 if opened.max_frame_size is None else opened.max_frame_size
        if size < MIN_MAX_FRAME_SIZE:
            raise _Violation("amqp:invalid-field", "max-frame-size is below 512")
        self.peer_max_frame_size = min(size, 1 << 20)
        self.peer_idle_timeout_ms = opened.idle_time_out or 0
        self.peer_container = opened.container_id
        self._phase = _Phase.OPEN
        self._send(
            0,
            p.Open(
                container_id=self.container_id,
                max_frame_size=self.limits.max_frame_size,
                channel_max=self.limits.sessions - 1,
                idle_time_out=self.limits.idle_timeout_ms,
            ),
        )

    def _take_close(self, close: p.Close) -> None:
        if self._phase is _Phase.OPENING:
            self._send(0, p.Open(container_id=self.container_id))
        self._send(0, p.Close())
        self._end_all(parse_error(close.error))

    def _take_begin(self, channel: int, begin: p.Begin) -> None:
        self._require_open()
        if channel in self.sessions:
            raise _Violation("amqp:illegal-state", f"channel {channel} is in use")
        if channel >= self.limits.sessions:
            raise _Violation("amqp:connection:framing-error", f"channel {channel} is too high")
        session = Session(channel=channel, peer_window=begin.incoming_window)
        session.next_incoming_id = begin.next_outgoing_id
        self.sessions[channel] = session
        self._send(
            channel,
            p.Begin(
                remote_channel=channel,
                next_outgoing_id=session.next_outgoing_id,
                incoming_window=Session.WINDOW,
                outgoing_window=Session.WINDOW,
                handle_max=self.limits.links_per_session - 1,
            ),
        )

    def _take_end(self, channel: int) -> None:
        session = self.sessions.pop(channel, None)
        if session is None:
            return  # it crossed our own end
        self._send(channel, p.End())
        self._events.extend(Detached(link) for link in session.links.values())

    def _take_attach(self, channel: int, attach: p.Attach) -> None:
        session = self._session(channel)
        if session is None:
            return
        if sum(len(each.links) for each in self.sessions.values()) >= self.limits.links:
            raise _Violation("amqp:resource-limit-exceeded", f"above {self.limits.links} links")
        if attach.handle in session.links:
            raise _Violation("amqp:session:handle-in-use", f"handle {attach.handle} is in use")
        if attach.handle >= self.limits.links_per_session:
            raise _Violation("amqp:connection:framing-error", f"handle {attach.handle} is too high")
        link: Link
        if attach.role:  # the peer receives, so this side sends
            link = OutgoingLink(connection=self, session=session, attach=attach)
        else:
            link = IncomingLink(connection=self, session=session, attach=attach)
        session.links[attach.handle] = link
        self._events.append(Attaching(link))

    def _take_detach(self, channel: int, detach: p.Detach) -> None:
        session = self._session(channel)
        link = session.links.pop(detach.handle, None) if session else None
        if link is None:
            return  # it crossed our own detach
        self._send(channel, p.Detach(detach.handle, closed=detach.closed))
        self._events.append(Detached(link))

    def _take_flow(self, channel: int, flow: p.Flow) -> None:
        session = self._session(channel)
        if session is None:
            return
        session.take_flow(flow)
        link = None if flow.handle is None else session.links.get(flow.handle)
        if isinstance(link, OutgoingLink):
            link.take_flow(flow)
            self._events.append(Credit(link))
        elif flow.handle is None:
            # the session's window may have been what held its links back
            waiting = [link for link in session.links.values() if isinstance(link, OutgoingLink)]
            self._events.extend(Credit(link) for link in waiting if link.credit > 0)
        if flow.echo and (flow.handle is None or link is not None):
            self._send(channel, session.flow(link))

    def _take_transfer(self, channel: int, transfer: p.Transfer, payload: bytes) -> None:
        session = self._session(channel)
        if session is None:
            return
        session.next_incoming_id += 1
        link = session.links.get(transfer.handle)
        if link is None:
            return  # it crossed our own detach
        if not isinstance(link, IncomingLink):
            raise _Violation("amqp:not-allowed", "a transfer towards its own sender")
        try:
            whole = link.take_transfer(transfer, payload)
        except ValueError as error:
            raise _Violation("amqp:not-allowed", str(error)) from None
        if whole is None:
            if link.partial_bytes:
                self._bound_partial(link)
            return
        if whole.oversize:
            size = Error("amqp:link:message-size-exceeded", f"above {link.max_message_size} bytes")
            self.reject(link, whole.delivery_id, size)
        else:
            self._events.append(
                Message(link, whole.delivery_id, whole.message_format, whole.payload, whole.settled)
            )
        if link.wants_replenishing():
            self._send(channel, session.flow(link))

    def _bound_partial(self, last: IncomingLink) -> None:
        gathered = sum(
            link.partial_bytes
            for session in self.sessions.values()
            for link in session.links.values()
            if isinstance(link, IncomingLink)
        )
        if gathered > max(self.limits.partial_bytes, last.max_message_size):
            raise _Violation(
                "amqp:resource-limit-exceeded", "too much of messages that do not end has arrived"
            )

    def _take_disposition(self, channel: int, disposition: p.Disposition) -> None:
        session = self._session(channel)
        if session is None or not disposition.role:
            return  # a sender's word about what was already settled here
        outcome = parse_outcome(disposition.state)
        settled = disposition.settled is True
        if outcome is None:
            if not settled:
                return
            outcome = Accepted()
        last = disposition.first if disposition.last is None else disposition.last
        for delivery in session.unsettled_between(disposition.first, last):
            if settled:
                session.unsettled.pop(delivery.delivery_id)
            self._events.append(Settlement(delivery.link, delivery, outcome, settled))

    def _session(self, channel: int) -> Session | None:
        self._require_open()
        return self.sessions.get(channel)

    def _require_open(self) -> None:
        if self._phase is not _Phase.OPEN:
            raise _Violation("amqp:illegal-state", "a frame before open")

    # -- what the host decides -------------------------------------------------------------

    def accept_link(
        self, link: Link, *, max_message_size: int = 0, properties: dict[Any, Any] | None = None
    ) -> None:
        """Complete an attach; an incoming link is given credit at once."""
        attach = link.attach
        sender = isinstance(link, OutgoingLink)
        self._send(
            link.session.channel,
            attach._replace(
                role=not attach.role,
                unsettled=None,
                incomplete_unsettled=None,
                initial_delivery_count=0 if sender else None,
                max_message_size=max_message_size or None,
                offered_capabilities=None,
                desired_capabilities=None,
                properties=properties,
            ),
        )
        link.attached = True
        if isinstance(link, IncomingLink):
            link.max_message_size = max_message_size
            self._send(link.session.channel, link.session.flow(link))

    def refuse_link(self, link: Link, error: Error) -> None:
        """Answer an attach with no terminus and a closing detach, as part 2, 2.6.3 has it."""
        attach = link.attach._replace(
            role=not link.attach.role,
            source=None,
            target=None,
            unsettled=None,
            initial_delivery_count=0 if link.attach.role else None,
            max_message_size=None,
            offered_capabilities=None,
            desired_capabilities=None,
            properties=None,
        )
        self._send(link.session.channel, attach)
        self._drop(link, error)

    def detach_link(self, link: Link, error: Error) -> None:
        """Close an attached link for a reason of the host's."""
        self._drop(link, error)

    def _drop(self, link: Link, error: Error) -> None:
        if link.session.links.get(link.handle) is link:
            del link.session.links[link.handle]
            detach = p.Detach(link.handle, closed=True, error=error.described())
            self._send(link.session.channel, detach)

    def send(self, link: OutgoingLink, tag: bytes, payload: bytes, *, settled: bool) -> Delivery:
        """Send one message; uses one credit. The host asks `link.sendable` first."""
        session = link.session
        delivery = Delivery(session.next_delivery_id, tag, link)
        session.next_delivery_id = (session.next_delivery_id + 1) & 0xFFFFFFFF
        if not settled:
            session.unsettled[delivery.delivery_id] = delivery
        link.credit -= 1
        link.delivery_count = (link.delivery_count + 1) & 0xFFFFFFFF
        room = self.peer_max_frame_size - 64  # header, performative and a 32 byte tag at most
        start = 0
        while True:
            more = len(payload) - start > room
            head = p.render_transfer(
                link.handle, delivery.delivery_id, tag, settled=settled, more=more
            )
            body = head + (payload if not start and not more else payload[start : start + room])
            self.outgoing += frame(session.channel, body)
            session.next_outgoing_id = (session.next_outgoing_id + 1) & 0xFFFFFFFF
            session.peer_window -= 1
            if not more:
                return delivery
            start += room

    def settle_outgoing(self, delivery: Delivery, outcome: bytes) -> None:
        """Confirm a settlement with an encoded outcome; the delivery is then forgotten."""
        session = delivery.link.session
        if session.unsettled.pop(delivery.delivery_id, None) is not None:
            number = delivery.delivery_id
            body = p.render_disposition(False, number, number, outcome)
            self.outgoing += frame(session.channel, body)

    def settle_incoming(self, link: IncomingLink, delivery_id: int, outcome: bytes) -> None:
        """Settle a message that arrived, with an encoded outcome."""
        if self.closed:
            return
        body = p.render_disposition(True, delivery_id, delivery_id, outcome)
        self.outgoing += frame(link.session.channel, body)

    def reject(self, link: IncomingLink, delivery_id: int, error: Error) -> None:
        """Settle a message that arrived as not taken."""
        self.settle_incoming(link, delivery_id, render_outcome(Rejected(error)))

    def drained(self, link: OutgoingLink) -> None:
        """Nothing is left to send: use up the credit, as the peer asked with `drain`."""
        link.delivery_count = (link.delivery_count + max(link.credit, 0)) & 0xFFFFFFFF
        link.credit = 0
        link.drain = False
        self._send(link.session.channel, link.session.flow(link, drain=True))

    def heartbeat(self) -> None:
        """An empty frame, so that the peer's idle timeout does not strike."""
        if self._phase is _Phase.OPEN:
            self.outgoing += EMPTY_FRAME

    def close(self, error: Error | None = None) -> list[Event]:
        """Close from this side; returns the last events."""
        if self.closed:
            return []
        if self._phase is _Phase.OPEN:
            self._send(0, p.Close(error.described() if error else None))
        self._end_all(error)
        return self._taken()

    def lost(self) -> list[Event]:
        """The stream ended without a close; returns the last events."""
        if not self.closed:
            self._end_all(None)
        return self._taken()

    def _fail(self, error: Error) -> None:
        if self._phase is _Phase.OPENING:
            self._send(0, p.Open(container_id=self.container_id))
        if self._phase in {_Phase.OPENING, _Phase.OPEN}:
            self._send(0, p.Close(error.described()))
        self._end_all(error)

    def _end_all(self, error: Error | None) -> None:
        self._phase = _Phase.CLOSED
        for session in self.sessions.values():
            self._events.extend(Detached(link) for link in session.links.values())
        self.sessions.clear()
        self._events.append(Closed(error))

    def _send(self, channel: int, performative: p.Performative) -> None:
        if self.closed:
            return  # the host answers what came before a close that was read with it
        self.outgoing += frame(channel, p.render(performative))
