"""One queue with its dead-letter queue: sending, settling, scheduling, duplicates.

Source of the rules: Azure Service Bus documentation (message transfers, locks and settlement;
dead-letter queues; duplicate detection; scheduled messages; message deferral; message expiration).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from localbus.amqp import message as amqp_message
from localbus.broker.errors import EntityDisabled, MessageNotFound, MessageTooLarge, NotAllowed
from localbus.broker.mailbox import Lock, Mailbox
from localbus.broker.message import Content, Message, State, StoredContent
from localbus.broker.properties import UNBOUNDED_MS, QueueProperties
from localbus.broker.sessions import SessionMailbox
from localbus.store import Entity, Store

MAIN, DEAD_LETTER = 0, 1
MAILBOXES_PER_ENTITY = 4
"""Mailbox numbers are entity * 4 + kind; two kinds are kept free for transfers."""

_RESERVE = 10_000
_PEEK_MESSAGES, _PEEK_BYTES = 250, 1 << 20


class Queue:
    """See the module. `allot` gives the next place in the order of arrival."""

    def __init__(
        self,
        entity: Entity,
        store: Store,
        allot: Callable[[], int],
        alarm: Callable[[Mailbox, int], None],
    ) -> None:
        self.id = entity.entity_id
        self.name = entity.name
        self.created_ms = entity.created_ms
        self.updated_ms = entity.updated_ms
        self.accessed_ms = entity.created_ms
        self.properties = QueueProperties.from_dict(entity.properties)
        self._store = store
        self._allot = allot
        self._alarm = alarm
        self._next_sequence = entity.reserved_sequence
        self._reserved = entity.reserved_sequence
        first = entity.entity_id * MAILBOXES_PER_ENTITY
        self.sessions: SessionMailbox | None = None
        """The main mailbox, when its messages are in sessions."""
        if self.properties.requires_session:
            self.sessions = SessionMailbox(first + MAIN, store, self)
        self.main = self.sessions or Mailbox(first + MAIN, store, self)
        self.dead = Mailbox(first + DEAD_LETTER, store, self)

    @property
    def mailboxes(self) -> tuple[Mailbox, Mailbox]:
        return self.main, self.dead

    @property
    def lock_duration_ms(self) -> int:
        return self.properties.lock_duration_ms

    # -- sending ---------------------------------------------------------------------------

    def send(self, content: Content, now_ms: int) -> int:
        """Take a message, now or when its annotation says; returns its sequence number.

        A duplicate within the window is taken and dropped, as the service does; 0 is returned.
        Raises MessageTooLarge, EntityDisabled; NotAllowed without a session where one is needed.
        """
        if not self.properties.accepts_sends:
            raise EntityDisabled(self.name, self.properties.status)
        if content.size > self.properties.max_message_bytes:
            raise MessageTooLarge(content.size, self.properties.max_message_bytes)
        if content.session_id is None and self.sessions is not None:
            raise NotAllowed(
                "The SessionId was not set on a message, and it cannot be sent to the entity. "
                "Entities that have session support enabled can only receive messages that have "
                "the SessionId set to a valid value."
            )
        self.accessed_ms = now_ms
        if self._is_duplicate(content, now_ms):
            return 0
        scheduled = content.scheduled_ms
        later = scheduled is not None and scheduled > now_ms
        ttl_ms = self._span(content.ttl_ms)
        message = Message(
            position=self._allot(),
            mailbox=self.main.id,
            sequence_number=self._allot_sequence(),
            state=State.SCHEDULED if later else State.ACTIVE,
            enqueued_ms=now_ms,
            due_ms=scheduled if later else None,
            # while scheduled, the column keeps the span itself: life begins when it is due
            expires_ms=ttl_ms if later else _expiry(ttl_ms, now_ms),
            session_id=content.session_id,
            size=content.size,
            content=StoredContent(
                content.head(ttl_ms), content.pairs, content.pair_count, content.bare
            ),
        )
        self.main.put(message)
        return message.sequence_number

    def _is_duplicate(self, content: Content, now_ms: int) -> bool:
        if not self.properties.detect_duplicates or content.message_id is None:
            return False
        until_ms = now_ms + self.properties.duplicate_window_ms
        return not self._store.remember(self.id, content.message_id, until_ms, now_ms)

    def _span(self, ttl_ms: int | None) -> int | None:
        """How long a message lives: its own time to live, cut to the queue's default."""
        default = self.properties.default_ttl_ms
        span = default if ttl_ms is None else min(ttl_ms, default)
        return None if span >= UNBOUNDED_MS else span

    def _allot_sequence(self) -> int:
        number = self._next_sequence
        self._next_sequence += 1
        if self._next_sequence > self._reserved:
            self._reserved = self._next_sequence + _RESERVE
            self._store.reserve_sequence(self.id, self._reserved)
        return number

    def settle_reservation(self) -> None:
        """Before a graceful stop: give back the sequence numbers that were not used."""
        self._reserved = self._next_sequence
        self._store.reserve_sequence(self.id, self._reserved)

    def cancel(self, sequence_number: int) -> None:
        """Take back a scheduled message. Raises MessageNotFound."""
        message = self._store.by_sequence(self.main.id, sequence_number)
        if message is None or message.state is not State.SCHEDULED:
            raise MessageNotFound(sequence_number)
        self.main.remove(message)

    # -- reading ---------------------------------------------------------------------------

    def peek(
        self, mailbox: Mailbox, from_sequence: int, count: int, session_id: str | None = None
    ) -> list[Message]:
        """Look at up to `count` messages, and up to 1 MiB, in order of sequence numbers; of one
        session when it is named."""
        messages = min(max(count, 1), _PEEK_MESSAGES)
        if session_id is None:
            return self._store.peek(mailbox.id, from_sequence, messages=messages, size=_PEEK_BYTES)
        return self._store.peek_session(
            mailbox.id, session_id, from_sequence, messages=messages, size=_PEEK_BYTES
        )

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

        Raises LockLost, and NotAllowed in the dead-letter queue itself.
        """
        lock = mailbox.held(token, now_ms)
        if mailbox is self.dead:
            raise NotAllowed("A message in a dead-letter queue cannot be dead-lettered again.")
        self._load(lock.message)
        self._bury(mailbox.complete(lock), now_ms, facts)

    def _bury(self, message: Message, now_ms: int, facts: dict[str, Any]) -> None:
        """Put a message that has left its mailbox and the store into the dead-letter queue."""
        content = message.content
        assert content is not None
        bare = amqp_message.with_application_properties(content.bare, facts)
        self.dead.put(
            Message(
                position=self._allot(),
                mailbox=self.dead.id,
                sequence_number=message.sequence_number,
                state=State.ACTIVE,
                enqueued_ms=message.enqueued_ms,
                delivery_count=message.delivery_count,
                session_id=message.session_id,
                size=message.size + len(bare) - len(content.bare),
                content=StoredContent(content.head, content.pairs, content.pair_count, bare),
            )
        )

    def repeat(self, mailbox: Mailbox, message: Message) -> None:
        """Put a copy of a message whose content is loaded at the end, under the same number."""
        mailbox.put(
            Message(
                position=self._allot(),
                mailbox=mailbox.id,
                sequence_number=message.sequence_number,
                state=State.ACTIVE,
                enqueued_ms=message.enqueued_ms,
                expires_ms=message.expires_ms,
                delivery_count=message.delivery_count + 1,
                session_id=message.session_id,
                size=message.size,
                content=message.content,
            )
        )

    # -- what mailboxes ask ----------------------------------------------------------------

    def expire(self, message: Message, now_ms: int) -> None:
        self._load(message)
        self.main.remove(message)
        if self.properties.dead_letter_on_expiry:
            facts = {
                "DeadLetterReason": "TTLExpiredException",
                "DeadLetterErrorDescription": "The message expired and was dead lettered.",
            }
            self._bury(message, now_ms, facts)

    def exhausted(self, message: Message, now_ms: int) -> bool:
        limit = self.properties.max_delivery_count
        if message.mailbox == self.dead.id or message.delivery_count < limit:
            return False
        self._load(message)
        self.main.remove(message)
        words = f"Message could not be consumed after {limit} delivery attempts."
        facts = {
            "DeadLetterReason": "MaxDeliveryCountExceeded",
            "DeadLetterErrorDescription": words,
        }
        self._bury(message, now_ms, facts)
        return True

    def activate(self, message: Message, now_ms: int) -> None:
        # As in the service, a scheduled message joins the queue anew, with a new number.
        message.position = self._allot()
        message.sequence_number = self._allot_sequence()
        message.state = State.ACTIVE
        message.enqueued_ms = now_ms
        message.due_ms = None
        message.expires_ms = _expiry(message.expires_ms, now_ms)
        self.main.put(message)

    def alarm(self, mailbox: Mailbox, at_ms: int) -> None:
        self._alarm(mailbox, at_ms)

    def _load(self, message: Message) -> None:
        if message.content is None:
            message.content = self._store.content(message.position)


def _expiry(span_ms: int | None, now_ms: int) -> int | None:
    return None if span_ms is None else now_ms + span_ms
