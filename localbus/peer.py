"""One client's connection: AMQP events become broker calls, messages become transfers.

All answers gather in the connection and are written by `flush`, which the bus calls after the
commit. What is wrong with one connection closes that connection and no other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from localbus import management, sabotage
from localbus.amqp import message as amqp_message
from localbus.amqp.codec import DecodeError
from localbus.amqp.connection import (
    Attaching,
    Closed,
    Connection,
    Credit,
    Detached,
    Event,
    Limits,
    Message,
    Settlement,
)
from localbus.amqp.link import IncomingLink, Link, OutgoingLink
from localbus.amqp.outcomes import (
    ACCEPTED,
    Accepted,
    Error,
    Rejected,
    render_outcome,
)
from localbus.amqp.types import Symbol, Ulong
from localbus.broker.entity import MessagingEntity
from localbus.broker.errors import BrokerError, EntityDisabled, NotAllowed, Unauthorized
from localbus.broker.message import read
from localbus.broker.namespace import Address
from localbus.broker.topic import Subscription
from localbus.bus import Bus
from localbus.faults import Fault, Moment
from localbus.receiver import Receiver, SessionReceiver, wanted_session
from localbus.sas import Grant, SasKeys, TokenRefused, resource_path

_CBS = "$cbs"
_REQUEST_BYTES = 1 << 20
_OUTGOING_BYTES = 1 << 20
"""What a connection gathers for one turn of the loop; then the socket decides."""
_PENDING_ANSWERS = 256
_PENDING_BYTES = 8 << 20
"""Of answers that wait on all links of a connection. A request is small and its answer may not be:
what asks faster than it reads loses its link."""
_GRANTS = 1_024


@dataclass(slots=True)
class Answers:
    """The link on which a client awaits answers of `$cbs` or `$management`."""

    path: str
    waiting: deque[bytes] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Requests:
    """The link on which a client sends requests; without an address they are for `$cbs`."""

    path: str
    address: Address | None


class Peer(asyncio.Protocol):
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        peers: set[Peer],
        limits: Limits,
        *,
        container_id: str,
        max_peers: int,
        keys: SasKeys | None = None,
    ) -> None:
        self.bus = bus
        self.connection = Connection(container_id, limits)
        self.writable = True
        self._was_full = False
        self._is_cut = False
        self.gone: asyncio.Future[None] = bus.loop.create_future()
        """Done when the stream is closed."""
        self._peers = peers
        self._max_peers = max_peers
        self._keys = keys
        self._grants: dict[str, Grant] = {}
        self._pending_bytes = 0
        self._transport: asyncio.Transport | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._read_at = self._wrote_at = 0.0

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._peers) >= self._max_peers or sabotage.strike(self, Moment.CONNECT, None):
            self._transport.abort()
            return
        self._peers.add(self)
        self._read_at = self._wrote_at = self.bus.loop.time()
        self._beat()

    def data_received(self, data: bytes) -> None:
        self._read_at = self.bus.loop.time()
        idle_before = self.connection.peer_idle_timeout_ms
        self._end_lapsed_grants()
        for event in self.connection.receive(data):
            self.take(event)
        if self.connection.peer_idle_timeout_ms != idle_before:
            self._beat()
        self.bus.will_write(self)

    def connection_lost(self, exc: Exception | None) -> None:
        for event in self.connection.lost():
            self.take(event)
        self._peers.discard(self)
        self.gone.set_result(None)
        self._transport = None
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def pause_writing(self) -> None:
        # A client that does not read its answers is not read either, or they would grow here.
        self.writable = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.writable = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._write_on()

    def has_room(self) -> bool:
        """Whether more may be written to it. When not, its mailboxes are looked at again later."""
        if len(self.connection.outgoing) > _OUTGOING_BYTES:
            self._was_full = True
            return False
        return self.writable

    # -- writing ---------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what has gathered; the bus calls this after the commit."""
        if self._transport is None:
            return
        if self._is_cut:
            self._transport.abort()
            return
        outgoing = self.connection.outgoing
        if outgoing:
            self._transport.write(bytes(outgoing))
            outgoing.clear()
            self._wrote_at = self.bus.loop.time()
        if self.connection.closed:
            self._transport.close()
        elif self._was_full:
            self._was_full = False
            self._write_on()

    def _write_on(self) -> None:
        """There is room again: for messages, and for answers that wait."""
        for receiver in self._receivers():
            self.bus.changed(receiver.address.mailbox)
        if not self._pending_bytes:
            return
        for session in self.connection.sessions.values():
            for link in list(session.links.values()):
                if isinstance(link, OutgoingLink) and isinstance(link.context, Answers):
                    self._send_answers(link, link.context)
        self.bus.will_write(self)

    def close(self, error: Error | None = None) -> None:
        """Say goodbye; the stream is closed once that is written."""
        for event in self.connection.close(error):
            self.take(event)
        self.flush()

    def cut(self) -> None:
        """Drop the stream after the commit of this turn; nothing more is taken or written."""
        self._is_cut = True
        self.bus.will_write(self)

    def detach_from(self, entity: MessagingEntity) -> None:
        """Close the links to an entity that was deleted."""
        gone = Error("amqp:not-found", f"The messaging entity '{entity.name}' was deleted.")
        for session in self.connection.sessions.values():
            for link in list(session.links.values()):
                context = link.context
                if isinstance(context, (Receiver, Requests)):
                    context = context.address
                if isinstance(context, Address) and context.belongs_to(entity):
                    link.context = None
                    if link.attached:
                        self.connection.detach_link(link, gone)
                    else:
                        self.connection.refuse_link(link, gone)
                    self.bus.will_write(self)

    def abort(self) -> None:
        """Drop the stream without a word."""
        if self._transport is not None:
            self._transport.abort()

    def _beat(self) -> None:
        """Keep the peer from timing out, and time it out. Peers live in the loop's time."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        now = self.bus.loop.time()
        theirs = self.connection.peer_idle_timeout_ms / 1000
        ours = self.connection.limits.idle_timeout_ms / 1000
        if now - self._read_at > ours:
            self.close(Error("amqp:connection:forced", f"nothing was heard for {ours:g} s"))
            return
        self._end_lapsed_grants()
        if theirs and now - self._wrote_at >= theirs / 4:
            self.connection.heartbeat()
            self.flush()
        period = min(ours / 4, theirs / 4 if theirs else 5.0, 5.0)
        self._heartbeat = self.bus.loop.call_later(max(period, 0.05), self._beat)

    # -- events ----------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Do what an event asks for."""
        if self._is_cut and not isinstance(event, (Detached, Closed)):
            return
        match event:
            case Message(link=link):
                if isinstance(link.context, Requests):
                    self._take_request(link.context, event)
                elif isinstance(link.context, Address):
                    self._take_message(link.context, event)
            case Settlement(link=link):
                self._take_settlement(event, link.context)
            case Credit(link=link):
                self._take_credit(link)
            case Attaching(link=link):
                try:
                    self._take_attach(link)
                except BrokerError as refused:
                    self.connection.refuse_link(link, Error(refused.condition, str(refused)))
            case Detached(link=link):
                if isinstance(link.context, Receiver):
                    link.context.close(self.bus.clock.now_ms())
                    self.bus.changed(link.context.address.mailbox)  # its session is free
                elif isinstance(link.context, Answers):
                    self._pending_bytes -= sum(map(len, link.context.waiting))
                link.context = None
            case Closed():
                self.bus.will_write(self)

    def _take_attach(self, link: Link) -> None:
        path = link.address(of_source=isinstance(link, OutgoingLink))
        if path.strip("/").lower().rpartition("/")[2] == _CBS:
            self._accept_requests(link, _CBS, None)
            return
        fault = sabotage.strike(self, Moment.ATTACH, link)
        if sabotage.ends_before(self, fault, link):
            return
        sabotage.refuse(fault)
        self._authorize(path)
        address = self.bus.namespace.resolve(path)
        if address.management:
            self._accept_requests(link, path.lower(), address)
        elif isinstance(link, OutgoingLink):
            self._accept_receiver(link, address)
        else:
            self._accept_sender(link, address)

    def _admit(self, token: str, audience: str) -> None:
        """Keep what a token allows. Without keys any token is good. Raises TokenRefused."""
        if self._keys is None:
            return
        grant = self._keys.grant(token, audience, self.bus.clock.now_ms())
        if grant.scope not in self._grants and len(self._grants) >= _GRANTS:
            raise TokenRefused("QuotaExceeded: Too many tokens on one connection.")
        self._grants[grant.scope] = grant

    def _is_authorized(self, path: str) -> bool:
        if self._keys is None:
            return True
        now_ms = self.bus.clock.now_ms()
        return any(grant.covers(path, now_ms) for grant in self._grants.values())

    def _authorize(self, path: str) -> None:
        if not self._is_authorized(path):
            raise Unauthorized(resource_path(path))

    def _end_lapsed_grants(self) -> None:
        """Close the links whose token is over and was not put anew."""
        now_ms = self.bus.clock.now_ms() if self._grants else 0
        lapsed = [scope for scope, each in self._grants.items() if each.until_ms <= now_ms]
        if not lapsed:
            return
        for scope in lapsed:
            del self._grants[scope]
        for session in self.connection.sessions.values():
            for link in list(session.links.values()):
                path = link.address(of_source=isinstance(link, OutgoingLink))
                if isinstance(link.context, Answers) or resource_path(path) == _CBS:
                    continue  # answers harm nobody, and the next token comes over $cbs
                if not self._is_authorized(path):
                    refused = Unauthorized(resource_path(path))
                    self.take(Detached(link))
                    self.connection.detach_link(link, Error(refused.condition, str(refused)))
                    self.bus.will_write(self)

    def _accept_requests(self, link: Link, path: str, address: Address | None) -> None:
        incoming = isinstance(link, IncomingLink)
        link.context = Requests(path, address) if incoming else Answers(path)
        self.connection.accept_link(link, max_message_size=_REQUEST_BYTES)

    def _accept_sender(self, link: Link, address: Address) -> None:
        entity = address.entity
        if address.mailbox is not entity.main or isinstance(entity, Subscription):
            raise NotAllowed("Nothing is sent to a subscription or a dead-letter queue directly.")
        if not entity.properties.accepts_sends:
            raise EntityDisabled(entity.name, entity.properties.status)
        limit = entity.properties.max_message_bytes
        link.context = address
        batch = {Symbol("com.microsoft:max-message-batch-size"): Ulong(limit)}
        self.connection.accept_link(link, max_message_size=limit, properties=batch)

    def _accept_receiver(self, link: OutgoingLink, address: Address) -> None:
        queue = address.queue
        of_session, session_id = wanted_session(link)
        sessions = queue.sessions if address.mailbox is queue.main else None
        if address.mailbox is queue.main and queue.properties.forward_to:
            raise NotAllowed(
                "Cannot create a message receiver on an entity with auto-forwarding enabled: "
                f"'{queue.name}'."
            )
        if of_session and sessions is None:
            raise NotAllowed(
                "A sessionful message receiver cannot be created on an entity that does not "
                f"require sessions: '{queue.name}'."
            )
        if sessions is not None and not of_session:
            raise NotAllowed(
                "It is not possible for an entity that requires sessions to create a "
                f"non-sessionful message receiver: '{queue.name}'."
            )
        if not queue.properties.accepts_receives:
            raise EntityDisabled(queue.name, queue.properties.status)
        if sessions is not None:
            holder = SessionReceiver(self, link, address, sessions)
            holder.open(session_id, self.bus.clock.now_ms())
            link.context = holder
            self.bus.changed(sessions)
            return
        receiver = Receiver(self, link, address)
        link.context = receiver
        address.mailbox.consumers.append(receiver)
        self.connection.accept_link(link)

    def _take_credit(self, link: OutgoingLink) -> None:
        if isinstance(link.context, Receiver):
            self.bus.changed(link.context.address.mailbox)
            if link.drain:
                self.bus.will_drain(lambda: self._end_drain(link))
        elif isinstance(link.context, Answers):
            self._send_answers(link, link.context)

    def _end_drain(self, link: OutgoingLink) -> None:
        if link.drain and not self.connection.closed:
            self.connection.drained(link)
            self.bus.will_write(self)

    def _take_message(self, address: Address, event: Message) -> None:
        now_ms = self.bus.clock.now_ms()
        fault = sabotage.strike(self, Moment.SEND, event.link)
        if sabotage.ends_before(self, fault, event.link):
            return
        try:
            sabotage.refuse(fault)
            if event.message_format == amqp_message.BATCH_FORMAT:
                contents = [read(payload) for payload in amqp_message.batched(event.payload)]
            else:
                contents = [read(event.payload)]
            for content in contents:
                address.entity.send(content, now_ms)
        except DecodeError as error:
            outcome = render_outcome(Rejected(Error("amqp:decode-error", str(error))))
        except BrokerError as refused:
            outcome = render_outcome(Rejected(Error(refused.condition, str(refused))))
        else:
            outcome = ACCEPTED
            self.bus.changed(address.mailbox)
        if not event.settled:
            settle = self.connection.settle_incoming
            if fault is None:
                settle(event.link, event.delivery_id, outcome)
            else:
                sabotage.reply(self, fault, lambda: settle(event.link, event.delivery_id, outcome))

    def _take_settlement(self, event: Settlement, receiver: Receiver | None) -> None:
        if receiver is None:
            return
        now_ms = self.bus.clock.now_ms()
        fault = sabotage.strike(self, Moment.SETTLE, event.link)
        if sabotage.ends_before(self, fault, event.link):
            return
        if fault is not None and fault.fault is Fault.LOSE_LOCK:
            receiver.lose_lock(event.delivery, now_ms)
        try:
            sabotage.refuse(fault)
            outcome = receiver.settle(event.delivery, event.outcome, now_ms)
        except BrokerError as refused:
            outcome = Rejected(Error(refused.condition, str(refused)))
        if not event.settled:
            encoded = ACCEPTED if type(outcome) is Accepted else render_outcome(outcome)
            settle = self.connection.settle_outgoing
            if fault is None:
                settle(event.delivery, encoded)
            else:
                sabotage.reply(self, fault, lambda: settle(event.delivery, encoded))
        self.bus.changed(receiver.address.mailbox)

    def _take_request(self, requests: Requests, event: Message) -> None:
        try:
            request = amqp_message.parse_request(event.payload)
        except DecodeError as error:
            broken = Error("amqp:decode-error", str(error))
            self.connection.reject(event.link, event.delivery_id, broken)
            return
        fault = None
        if requests.address is None:
            answer = management.answer_cbs(request, self._admit)
        else:
            fault = sabotage.strike(self, Moment.REQUEST, event.link)
            if sabotage.ends_before(self, fault, event.link):
                return
            try:
                sabotage.refuse(fault)
                answer = management.answer(request, requests.address, self.bus.clock.now_ms())
            except BrokerError as refused:
                answer = management.refusal(request, refused)
            for mailbox in requests.address.entity.mailboxes:
                self.bus.changed(mailbox)
        sabotage.reply(self, fault, lambda: self._answer(event, requests.path, request, answer))

    def _answer(
        self, event: Message, path: str, request: amqp_message.Request, answer: bytes
    ) -> None:
        link = self._answering(event.link, path, request.reply_to)
        if link is not None:
            link.context.waiting.append(answer)
            self._pending_bytes += len(answer)
            self._send_answers(link, link.context)
        if not event.settled:
            # After the answer: azure-servicebus drops a $cbs answer that follows its confirmation.
            self.connection.settle_incoming(event.link, event.delivery_id, ACCEPTED)

    def _answering(self, of: Link, path: str, reply_to: str | None) -> OutgoingLink | None:
        """The link to answer on: in the same session, for the same node, as `reply-to` names it."""
        links = [
            link
            for link in of.session.links.values()
            if isinstance(link, OutgoingLink)
            and isinstance(link.context, Answers)
            and link.context.path == path
        ]
        named = [link for link in links if link.address(of_source=False) == reply_to]
        return next(iter(named or links), None)

    def _send_answers(self, link: OutgoingLink, answers: Answers) -> None:
        while answers.waiting and link.sendable and self.has_room():
            payload = answers.waiting.popleft()
            self._pending_bytes -= len(payload)
            self.connection.send(link, b"\x00" * 4, payload, settled=True)
        if len(answers.waiting) > _PENDING_ANSWERS or self._pending_bytes > _PENDING_BYTES:
            self.take(Detached(link))
            self.connection.detach_link(
                link, Error("amqp:resource-limit-exceeded", "too many answers are waiting")
            )

    def detach_receivers(self) -> int:
        """Close receivers' links as the service does with idle ones; how many there were."""
        links = [
            link
            for session in self.connection.sessions.values()
            for link in session.links.values()
            if isinstance(link.context, Receiver)
        ]
        for link in links:
            sabotage.detach(self, link)
        return len(links)

    def _receivers(self) -> list[Receiver]:
        return [
            link.context
            for session in self.connection.sessions.values()
            for link in session.links.values()
            if isinstance(link.context, Receiver)
        ]
