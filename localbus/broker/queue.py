"""One queue with its dead-letter queues: settling, expiry, forwarding.

Source of the rules: Azure Service Bus documentation (message transfers, locks and settlement;
dead-letter queues; message deferral; auto-forwarding).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from localbus.amqp import message as amqp_message
from localbus.broker.entity import DEAD_LETTER, MAIN, TRANSFER_DEAD_LETTER, MessagingEntity, Site
from localbus.broker.errors import MessageNotFound, NotAllowed
from localbus.broker.mailbox import Lock, Mailbox
from localbus.broker.message import DEAD_LETTER_SOURCE, Message, State, StoredContent
from localbus.broker.properties import QueueProperties
from localbus.broker.sessions import SessionMailbox
from localbus.store import Entity as Row

MAX_HOPS = 4


class Queue(MessagingEntity):
    """See the module."""

    def __init__(self, row: Row, properties: QueueProperties, site: Site) -> None:
        super().__init__(row, properties, site)
        self.sessions: SessionMailbox | None = None
        """The main mailbox, when its messages are in sessions."""
        if properties.requires_session:
            self.sessions = SessionMailbox(self._mailbox_id(MAIN), site.store, self)
        self.main = self.sessions or Mailbox(self._mailbox_id(MAIN), site.store, self)
        self.dead = Mailbox(self._mailbox_id(DEAD_LETTER), site.store, self)
        self.transfer_dead = Mailbox(self._mailbox_id(TRANSFER_DEAD_LETTER), site.store, self)
        self.set_forwarding()

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        return self.main, self.dead, self.transfer_dead

    def _enqueue(self, message: Message, now_ms: int) -> None:
        if message.session_id is None and self.sessions is not None:
            # only from another entity: who sends here is refused
            words = (
                "Session enabled entity doesn't allow a message whose session identifier is null."
            )
            self._bury(message, now_ms, _facts("Session id is null.", words))
        else:
            self.main.put(message)

    # -- reading ---------------------------------------------------------------------------

    def receive_deferred(
        self,
        mailbox: Mailbox,
        sequence_numbers: list[int],
        now_ms: int,
        *,
        locked: bool,
        session_id: str | None = None,
    ) -> list[tuple[Message, Lock | None]]:
        """Take deferred messages, all or none; where messages are in sessions, of the session that
        is held. Raises MessageNotFound, SessionLockLost, NotAllowed without a session."""
        if mailbox is self.sessions:
            if session_id is None:
                raise NotAllowed("A deferred message of a session is received within its session.")
            self.sessions.session(session_id, now_ms)
        found = []
        for number in sequence_numbers:
            message = self._store.by_sequence(mailbox.id, number)
            if message is None or message.state is not State.DEFERRED:
                raise MessageNotFound(number)
            if mailbox is self.sessions and message.session_id != session_id:
                raise MessageNotFound(number)
            if mailbox.is_locked(message):
                raise MessageNotFound(number)
            if message.expires_ms is not None and message.expires_ms <= now_ms:
                self.expire(message, now_ms)
                raise MessageNotFound(number)
            found.append(message)
        taken: list[tuple[Message, Lock | None]] = []
        for message in found:
            if locked:
                taken.append((message, mailbox.lock(message, now_ms)))
            else:
                mailbox.remove(message)
                taken.append((message, None))
        return taken

    # -- settling --------------------------------------------------------------------------

    def complete(self, mailbox: Mailbox, token: UUID, now_ms: int) -> None:
        """Raises LockLost."""
        mailbox.complete(mailbox.held(token, now_ms))

    def abandon(self, mailbox: Mailbox, token: UUID, now_ms: int) -> None:
        """Give back, counted as a failed delivery. Raises LockLost."""
        mailbox.give_back(mailbox.held(token, now_ms), now_ms, counted=True)

    def release(self, mailbox: Mailbox, token: UUID, now_ms: int) -> None:
        """Give back as if it had not been delivered. Raises LockLost."""
        mailbox.give_back(mailbox.held(token, now_ms), now_ms, counted=False)

    def defer(self, mailbox: Mailbox, token: UUID, now_ms: int) -> None:
        """Raises LockLost."""
        mailbox.defer(mailbox.held(token, now_ms))

    def dead_letter(
        self, mailbox: Mailbox, token: UUID, now_ms: int, facts: dict[str, Any]
    ) -> None:
        """Move to the dead-letter queue; `facts` become application properties.

        Raises LockLost, and NotAllowed in a dead-letter queue itself.
        """
        lock = mailbox.held(token, now_ms)
        if mailbox is not self.main:
            raise NotAllowed("A message in a dead-letter queue cannot be dead-lettered again.")
        self._load(lock.message)
        self._bury(mailbox.complete(lock), now_ms, facts)

    def _bury(
        self, message: Message, now_ms: int, facts: dict[str, Any], into: Mailbox | None = None
    ) -> None:
        """Put a message that is in no mailbox and not in the store into a dead-letter queue."""
        mailbox = into or self.dead
        content = message.content
        assert content is not None
        bare = amqp_message.with_application_properties(content.bare, facts)
        mailbox.put(
            Message(
                position=self._site.allot(),
                mailbox=mailbox.id,
                sequence_number=message.sequence_number,
                state=State.ACTIVE,
                enqueued_ms=message.enqueued_ms,
                delivery_count=message.delivery_count,
                session_id=message.session_id,
                size=message.size + len(bare) - len(content.bare),
                content=StoredContent(content.head, content.pairs, content.pair_count, bare),
                hops=message.hops,
            )
        )
        self._site.touched(mailbox)

    def repeat(self, mailbox: Mailbox, message: Message) -> None:
        """Put a copy of a message whose content is loaded at the end, under the same number."""
        mailbox.put(
            Message(
                position=self._site.allot(),
                mailbox=mailbox.id,
                sequence_number=message.sequence_number,
                state=State.ACTIVE,
                enqueued_ms=message.enqueued_ms,
                expires_ms=message.expires_ms,
                delivery_count=message.delivery_count + 1,
                session_id=message.session_id,
                size=message.size,
                content=message.content,
                hops=message.hops,
            )
        )

    # -- forwarding ------------------------------------------------------------------------

    def set_forwarding(self) -> None:
        """Do as the properties say, with what is there already as well."""
        self.main.forward = self._forward if self.properties.forward_to else None
        to_dead = self.properties.forward_dead_letters_to
        self.dead.forward = self._forward_dead if to_dead else None
        self._site.touched(self.main)
        self._site.touched(self.dead)

    def _forward(self, message: Message, now_ms: int) -> None:
        self._transfer(message, self.properties.forward_to, now_ms)

    def _forward_dead(self, message: Message, now_ms: int) -> None:
        assert message.content is not None
        message.content = message.content.annotated(DEAD_LETTER_SOURCE, self.name)
        self._transfer(message, self.properties.forward_dead_letters_to, now_ms)

    def _transfer(self, message: Message, to: str, now_ms: int) -> None:
        """Hand a message that has left its mailbox to another entity, or to the transfer
        dead-letter queue when that cannot take it."""
        destination = self._site.destination(to)
        if message.hops >= MAX_HOPS:
            words = f"The message was forwarded {MAX_HOPS} times."
            facts = _facts("MaxTransferHopCountExceeded", words)
        elif destination is None:
            words = f"The messaging entity '{to}' could not be found."
            facts = _facts("MessagingEntityNotFound", words)
        elif not destination.properties.accepts_sends:
            words = f"The messaging entity '{to}' is {destination.properties.status}."
            facts = _facts("MessagingEntityDisabled", words)
        elif message.size > destination.properties.max_message_bytes:
            facts = _facts(
                "MessageSizeExceeded", f"The messaging entity '{to}' takes no such size."
            )
        else:
            message.hops += 1
            destination.take_over(message, now_ms)
            return
        self._bury(message, now_ms, facts, self.transfer_dead)

    # -- what mailboxes ask ----------------------------------------------------------------

    def expire(self, message: Message, now_ms: int) -> None:
        self._load(message)
        self.main.remove(message)
        if self.properties.dead_letter_on_expiry:
            words = "The message expired and was dead lettered."
            self._bury(message, now_ms, _facts("TTLExpiredException", words))

    def exhausted(self, message: Message, now_ms: int) -> bool:
        limit = self.properties.max_delivery_count
        if message.mailbox != self.main.id or message.delivery_count < limit:
            return False
        self._load(message)
        self.main.remove(message)
        words = f"Message could not be consumed after {limit} delivery attempts."
        self._bury(message, now_ms, _facts("MaxDeliveryCountExceeded", words))
        return True


def _facts(reason: str, description: str) -> dict[str, Any]:
    return {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
