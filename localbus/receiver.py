"""A link that takes messages out of a mailbox: delivering them, and settling what comes back.

A link to a mailbox with sessions is attached when it has one, so its attach may wait.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from localbus import sabotage
from localbus.amqp.link import Delivery, OutgoingLink
from localbus.amqp.outcomes import Accepted, Error, Modified, Outcome, Rejected, Released
from localbus.amqp.types import Described, Symbol
from localbus.broker.errors import BrokerError, SessionLockLost
from localbus.broker.mailbox import Lock
from localbus.broker.message import Message, render
from localbus.broker.namespace import Address
from localbus.broker.sessions import SessionMailbox
from localbus.management import dead_letter_facts

if TYPE_CHECKING:
    from localbus.peer import Peer

_UNSETTLED_SWEEP = 4_096
_SESSION_FILTER = "com.microsoft:session-filter"
_TIMEOUT = "com.microsoft:timeout"
_DEFAULT_TIMEOUT_MS = 65_000
_TICKS_AT_EPOCH = 621_355_968_000_000_000
""".NET counts in units of 100 ns from the year 1."""


class Receiver:
    """A link that takes messages out of a mailbox."""

    def __init__(self, peer: Peer, link: OutgoingLink, address: Address) -> None:
        self.address = address
        self.locks = not link.presettled
        self._peer = peer
        self._link = link

    def close(self, now_ms: int) -> None:
        """The link is gone."""
        with suppress(ValueError):  # the queue was deleted meanwhile
            self.address.mailbox.consumers.remove(self)

    def ready(self) -> bool:
        link = self._link
        return (
            link.credit > 0
            and link.session.peer_window > 0
            and self._peer.has_room()
            and self._peer.connection.may_deliver(link.session)
        )

    def deliver(self, message: Message, lock: Lock | None) -> None:
        connection = self._peer.connection
        if lock is None:
            payload = render(message, locked_until_ms=None, token=None)
            tag = message.position.to_bytes(8, "big")
            connection.send(self._link, tag, payload, settled=True)
        else:
            payload = render(message, locked_until_ms=lock.until_ms, token=lock.token)
            delivery = connection.send(self._link, lock.token.bytes_le, payload, settled=False)
            delivery.context = lock.token
            self._forget_lapsed(delivery.link.session.unsettled)
        self._peer.bus.will_write(self._peer)
        if self._peer.bus.faults is not None:
            queue, mailbox = self.address.queue, self.address.mailbox
            sabotage.delivered(self._peer, self._link, queue, mailbox, message)

    def _forget_lapsed(self, unsettled: dict[int, Delivery]) -> None:
        """Now and then drop deliveries whose lock is over, or a client that lets locks lapse would
        fill its session with them."""
        if len(unsettled) % _UNSETTLED_SWEEP:
            return
        locks = self.address.mailbox.locks
        for number, delivery in list(unsettled.items()):
            receiver = delivery.link.context
            if receiver is self and delivery.context not in locks:
                del unsettled[number]

    def lose_lock(self, delivery: Delivery, now_ms: int) -> None:
        """Let the lock of a delivery end before its time."""
        with suppress(BrokerError):  # it is over already
            self.address.queue.abandon(self.address.mailbox, delivery.context, now_ms)

    def settle(self, delivery: Delivery, outcome: Outcome, now_ms: int) -> Outcome:
        """Do what the client decided; returns the outcome to confirm with."""
        queue, mailbox, token = self.address.queue, self.address.mailbox, delivery.context
        try:
            match outcome:
                case Accepted():
                    queue.complete(mailbox, token, now_ms)
                case Released():
                    queue.release(mailbox, token, now_ms)
                case Modified(undeliverable_here=True):
                    queue.defer(mailbox, token, now_ms)
                case Modified():
                    queue.abandon(mailbox, token, now_ms)
                case Rejected(error):
                    info = error.info if error else {}
                    facts = dead_letter_facts(
                        info.get("DeadLetterReason"), info.get("DeadLetterErrorDescription")
                    )
                    queue.dead_letter(mailbox, token, now_ms, facts)
                    outcome = Rejected()  # one with an error would mean that it failed
        except BrokerError as refused:
            return Rejected(Error(refused.condition, str(refused)))
        return outcome


class SessionReceiver(Receiver):
    """A link that takes the messages of one session, once it has it."""

    def __init__(
        self, peer: Peer, link: OutgoingLink, address: Address, mailbox: SessionMailbox
    ) -> None:
        super().__init__(peer, link, address)
        self._mailbox = mailbox

    def open(self, session_id: str | None, now_ms: int) -> None:
        """Ask for the named session or the next. Raises SessionCannotBeLocked."""
        asked = (self._link.attach.properties or {}).get(_TIMEOUT)
        timeout_ms = asked if isinstance(asked, int) else _DEFAULT_TIMEOUT_MS
        self._mailbox.accept(self, session_id, now_ms, now_ms + max(int(timeout_ms), 0))

    def close(self, now_ms: int) -> None:
        self._mailbox.leave(self, now_ms)

    def accepted(self, session_id: str, until_ms: int) -> None:
        link = self._link
        source = link.attach.source
        assert source is not None
        fields = [*source.value, *[None] * (8 - len(source.value))]
        fields[7] = {Symbol(_SESSION_FILTER): session_id}
        link.attach = link.attach._replace(source=Described(source.descriptor, fields))
        until = {Symbol("com.microsoft:locked-until-utc"): until_ms * 10_000 + _TICKS_AT_EPOCH}
        self._peer.connection.accept_link(link, properties=until)
        self._peer.bus.will_write(self._peer)

    def timed_out(self) -> None:
        late = Error(_TIMEOUT, "No session was free within the time that was given.")
        self._link.context = None
        self._peer.connection.refuse_link(self._link, late)
        self._peer.bus.will_write(self._peer)

    def session_lost(self, session_id: str) -> None:
        lost = SessionLockLost(session_id)
        self._link.context = None
        self._peer.connection.detach_link(self._link, Error(lost.condition, str(lost)))
        self._peer.bus.will_write(self._peer)


def wanted_session(link: OutgoingLink) -> tuple[bool, str | None]:
    """Whether a link asks for a session, and for which; None is the next."""
    source = link.attach.source
    if source is None or not isinstance(source.value, list) or len(source.value) < 8:
        return False, None
    filters = source.value[7]
    if not isinstance(filters, dict) or _SESSION_FILTER not in filters:
        return False, None
    wanted = filters[_SESSION_FILTER]
    if isinstance(wanted, Described):
        wanted = wanted.value
    return True, wanted if isinstance(wanted, str) else None
