"""What queues, topics and subscriptions share: taking messages, numbering, schedules, duplicates.

Source of the rules: Azure Service Bus documentation (message transfers, locks and settlement;
duplicate detection; scheduled messages; message expiration).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from localbus.broker.errors import EntityDisabled, MessageNotFound, MessageTooLarge, NotAllowed
from localbus.broker.mailbox import Mailbox
from localbus.broker.message import (
    ENQUEUE_SEQUENCE_NUMBER,
    Content,
    Message,
    State,
    StoredContent,
    message_identity,
)
from localbus.broker.properties import UNBOUNDED_MS, QueueProperties
from localbus.store import Entity as Row
from localbus.store import Store

MAIN, DEAD_LETTER, TRANSFER_DEAD_LETTER = 0, 1, 3
MAILBOXES_PER_ENTITY = 4
"""Mailbox numbers are entity * 4 + kind; number 2 is free."""

_RESERVE = 10_000
_PEEK_MESSAGES, _PEEK_BYTES = 250, 1 << 20


@dataclass(frozen=True, slots=True)
class Site:
    """What an entity has from its namespace: the store, the next place in the order of arrival,
    alarms, word of mailboxes that got something, and other entities by name."""

    store: Store
    allot: Callable[[], int]
    alarm: Callable[[Mailbox, int], None]
    touched: Callable[[Mailbox], None]
    destination: Callable[[str], MessagingEntity | None]


class MessagingEntity(ABC):
    """See the module. Times are milliseconds since the epoch."""

    main: Mailbox

    def __init__(self, row: Row, properties: QueueProperties, site: Site) -> None:
        self.id = row.entity_id
        self.name = row.name
        self.created_ms = row.created_ms
        self.updated_ms = row.updated_ms
        self.accessed_ms = row.created_ms
        self.properties = properties
        self._site = site
        self._store = site.store
        self._next_sequence = row.reserved_sequence
        self._reserved = row.reserved_sequence

    @property
    @abstractmethod
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """All of them; the first is `main`."""

    @property
    def lock_duration_ms(self) -> int:
        return self.properties.lock_duration_ms

    def _mailbox_id(self, kind: int) -> int:
        return self.id * MAILBOXES_PER_ENTITY + kind

    # -- in --------------------------------------------------------------------------------

    def send(self, content: Content, now_ms: int) -> int:
        """Take a message, now or when its annotation says; returns its sequence number.

        A duplicate within the window is taken and dropped, as the service does; 0 is returned.
        Raises MessageTooLarge, EntityDisabled; NotAllowed without a session where one is needed.
        """
        properties = self.properties
        if not properties.accepts_sends:
            raise EntityDisabled(self.name, properties.status)
        if content.size > properties.max_message_bytes:
            raise MessageTooLarge(content.size, properties.max_message_bytes)
        if content.session_id is None and properties.requires_session:
            raise NotAllowed(
                "The SessionId was not set on a message, and it cannot be sent to the entity. "
                "Entities that have session support enabled can only receive messages that have "
                "the SessionId set to a valid value."
            )
        self.accessed_ms = now_ms
        if self._is_duplicate(content.message_id, now_ms):
            return 0
        scheduled = content.scheduled_ms
        later = scheduled is not None and scheduled > now_ms
        ttl_ms = self._span(content.ttl_ms)
        message = Message(
            position=self._site.allot(),
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
        if later:
            self.main.put(message)
        else:
            self._enqueue(message, now_ms)
        return message.sequence_number

    def take_over(self, arrived: Message, now_ms: int) -> None:
        """Take a message from another entity, its content loaded, under a number of this one."""
        content = arrived.content
        assert content is not None
        self.accessed_ms = now_ms
        if self.properties.detect_duplicates and self._is_duplicate(
            message_identity(content.bare), now_ms
        ):
            return
        limit = _expiry(self._span(None), now_ms)
        ends = [ms for ms in (arrived.expires_ms, limit) if ms is not None]
        message = Message(
            position=self._site.allot(),
            mailbox=self.main.id,
            sequence_number=self._allot_sequence(),
            state=State.ACTIVE,
            enqueued_ms=now_ms,
            expires_ms=min(ends, default=None),
            session_id=arrived.session_id,
            size=arrived.size,
            content=content.annotated(ENQUEUE_SEQUENCE_NUMBER, arrived.sequence_number),
            hops=arrived.hops,
        )
        self._enqueue(message, now_ms)
        self._site.touched(self.main)

    @abstractmethod
    def _enqueue(self, message: Message, now_ms: int) -> None:
        """An active message is here, not stored yet."""

    def _is_duplicate(self, message_id: str | None, now_ms: int) -> bool:
        if not self.properties.detect_duplicates or message_id is None:
            return False
        until_ms = now_ms + self.properties.duplicate_window_ms
        return not self._store.remember(self.id, message_id, until_ms, now_ms)

    def _span(self, ttl_ms: int | None) -> int | None:
        """How long a message lives: its own time to live, cut to the default of the entity."""
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

    # -- scheduled -------------------------------------------------------------------------

    def cancel(self, sequence_number: int) -> None:
        """Take back a scheduled message. Raises MessageNotFound."""
        message = self._store.by_sequence(self.main.id, sequence_number)
        if message is None or message.state is not State.SCHEDULED:
            raise MessageNotFound(sequence_number)
        self.main.remove(message)

    def activate(self, message: Message, now_ms: int) -> None:
        # As in the service, a scheduled message joins the queue anew, with a new number.
        message.position = self._site.allot()
        message.sequence_number = self._allot_sequence()
        message.state = State.ACTIVE
        message.enqueued_ms = now_ms
        message.due_ms = None
        message.expires_ms = _expiry(message.expires_ms, now_ms)
        self._enqueue(message, now_ms)

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

    # -- what mailboxes ask ----------------------------------------------------------------

    def alarm(self, mailbox: Mailbox, at_ms: int) -> None:
        self._site.alarm(mailbox, at_ms)

    def _load(self, message: Message) -> None:
        if message.content is None:
            message.content = self._store.content(message.position)


def _expiry(span_ms: int | None, now_ms: int) -> int | None:
    return None if span_ms is None else now_ms + span_ms
