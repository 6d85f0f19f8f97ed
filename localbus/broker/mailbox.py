"""One ordered store of messages: what is next, who holds a lock, when something is due.

The head of the mailbox is a window in memory; behind it messages wait in the store and are read a
page at a time. Order is that of arrival, and a message given back returns to its place in it.
Decides nothing about entities: what happens to a message whose time to live or last delivery is
over is its queue's affair (`Keeper`).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

from localbus.broker.errors import LockLost
from localbus.broker.message import Message, State
from localbus.broker.window import Window
from localbus.store import Store

WINDOW_MESSAGES = 1_000
WINDOW_BYTES = 2 << 20
_BATCH = 500


class Keeper(Protocol):
    """What a mailbox asks of the queue it belongs to."""

    def expire(self, message: Message, now_ms: int) -> None:
        """The message's time to live is over; it is in no mailbox any more, but in the store."""
        ...

    def exhausted(self, message: Message, now_ms: int) -> bool:
        """Whether the message was delivered too often; if so it has been moved away."""
        ...

    def activate(self, message: Message, now_ms: int) -> None:
        """A scheduled message is due; it is taken out of the store and is to be sent."""
        ...

    def alarm(self, mailbox: Mailbox, at_ms: int) -> None:
        """Call the mailbox's `tick` at this time."""
        ...

    @property
    def lock_duration_ms(self) -> int: ...


class Consumer(Protocol):
    """Someone who takes messages: in the server, a receiving link."""

    def ready(self) -> bool: ...

    def deliver(self, message: Message, lock: Lock | None) -> None: ...

    @property
    def locks(self) -> bool:
        """Whether messages are locked for it (peek-lock) or gone when delivered."""
        ...


@dataclass(slots=True)
class Lock:
    """A message held for one consumer until a time."""

    token: UUID
    message: Message
    until_ms: int
    mailbox: Mailbox


class Mailbox:
    """See the module. Times are milliseconds since the epoch."""

    def __init__(self, mailbox_id: int, store: Store, keeper: Keeper) -> None:
        self.id = mailbox_id
        self.consumers: deque[Consumer] = deque()
        self.locks: dict[UUID, Lock] = {}
        self.counts = dict.fromkeys(State, 0)
        self.size_bytes = 0
        self.alarm_ms: int | None = None
        self.forward: Callable[[Message, int], None] | None = None
        """Takes every message as it comes, with the time, in place of consumers."""
        self._store = store
        self._keeper = keeper
        self._window = Window(self._page, messages=WINDOW_MESSAGES, size=WINDOW_BYTES)
        self._lock_ends: list[tuple[int, UUID]] = []
        self._next_expiry_ms: int | None = None

    def recover(self, counts: dict[State, int], size_bytes: int) -> None:
        """Begin with what the store holds from before."""
        self.counts.update(counts)
        self.size_bytes = size_bytes
        self._window.behind = counts.get(State.ACTIVE, 0) > 0
        self._next_expiry_ms = self._store.next_expiry_ms(self.id, 0)
        self._set_alarm(self._next_expiry_ms)
        self._set_alarm(self._store.next_due_ms(self.id))

    # -- in --------------------------------------------------------------------------------

    def put(self, message: Message) -> None:
        """A new message, active or scheduled; its content is loaded and goes to the store."""
        self._store.insert(message)
        self.counts[message.state] += 1
        self.size_bytes += message.size
        if message.state is State.SCHEDULED:
            self._set_alarm(message.due_ms)
            return
        if message.expires_ms is not None:
            if self._next_expiry_ms is None or message.expires_ms < self._next_expiry_ms:
                self._next_expiry_ms = message.expires_ms
            self._set_alarm(message.expires_ms)
        self._offer(message)

    def _offer(self, message: Message) -> None:
        self._window.offer(message)

    # -- out -------------------------------------------------------------------------------

    def pump(self, now_ms: int, limit: int) -> bool:
        """Hand messages to consumers, in turn, while both last; returns whether `limit` did not."""
        if self.forward is not None:
            return self._forward_all(self.forward, now_ms, limit)
        consumers = self.consumers
        waiting = len(consumers)
        while waiting:
            if limit == 0:
                return True
            consumer = consumers[0]
            consumers.rotate(-1)
            if not consumer.ready():
                waiting -= 1
                continue
            message = self._next(self._window, now_ms)
            if message is None:
                return False
            limit -= 1
            waiting = len(consumers)
            self._hand_over(consumer, message, now_ms)
        return False

    def _forward_all(
        self, forward: Callable[[Message, int], None], now_ms: int, limit: int
    ) -> bool:
        for _ in range(limit):
            message = self._next(self._window, now_ms)
            if message is None:
                return False
            self.remove(message)
            forward(message, now_ms)
        return True

    def _hand_over(self, consumer: Consumer, message: Message, now_ms: int) -> None:
        if consumer.locks:
            lock = self.lock(message, now_ms)
            consumer.deliver(message, lock)
            message.content = None  # a long prefetch holds locks, not bytes
        else:
            self.remove(message)
            consumer.deliver(message, None)

    def _next(self, window: Window, now_ms: int) -> Message | None:
        """The first message that has not expired, with its content."""
        while (message := window.take()) is not None:
            if message.expires_ms is not None and message.expires_ms <= now_ms:
                self._keeper.expire(message, now_ms)
                continue
            if message.content is None:
                message.content = self._store.content(message.position)
            return message
        return None

    def _page(self, position: int, _sequence_number: int) -> list[Message]:
        return self._store.page(self.id, position, messages=WINDOW_MESSAGES, size=WINDOW_BYTES)

    def lock(self, message: Message, now_ms: int) -> Lock:
        """Hold a message that `pump` took, or a deferred one. Raises SessionLockLost in a session
        that is not held."""
        lock = Lock(uuid4(), message, now_ms + self._keeper.lock_duration_ms, self)
        self.locks[lock.token] = lock
        heapq.heappush(self._lock_ends, (lock.until_ms, lock.token))
        self._set_alarm(lock.until_ms)
        return lock

    # -- locks -----------------------------------------------------------------------------

    def held(self, token: UUID, now_ms: int) -> Lock:
        """The lock of this token, if it still holds. Raises LockLost."""
        lock = self.locks.get(token)
        if lock is None or lock.until_ms <= now_ms:
            raise LockLost
        return lock

    def renew(self, token: UUID, now_ms: int) -> int:
        """Hold on for another lock duration; returns until when. Raises LockLost."""
        lock = self.held(token, now_ms)
        lock.until_ms = now_ms + self._keeper.lock_duration_ms
        heapq.heappush(self._lock_ends, (lock.until_ms, token))
        return lock.until_ms

    def complete(self, lock: Lock) -> Message:
        """The message is done with: it leaves the store."""
        self._unlock(lock)
        self.remove(lock.message)
        return lock.message

    def give_back(self, lock: Lock, now_ms: int, *, counted: bool) -> None:
        """Unlock; the message returns to its place, or is moved away when delivered too often."""
        self._unlock(lock)
        message = lock.message
        if counted:
            message.delivery_count += 1
            if self._keeper.exhausted(message, now_ms):
                return
            self._store.set_delivery_count(message.position, message.delivery_count)
        if message.state is State.ACTIVE:
            self._put_back(message)
            if message.expires_ms is not None:
                self._next_expiry_ms = min(message.expires_ms, self._next_expiry_ms or 1 << 62)
                self._set_alarm(max(message.expires_ms, now_ms))

    def _unlock(self, lock: Lock) -> None:
        del self.locks[lock.token]

    def _put_back(self, message: Message) -> None:
        self._window.give_back(message)

    def defer(self, lock: Lock) -> None:
        """Unlock and set aside; only `receive by sequence number` finds it again."""
        self._unlock(lock)
        message = lock.message
        message.delivery_count += 1
        self.counts[message.state] -= 1
        self.counts[State.DEFERRED] += 1
        message.state = State.DEFERRED
        self._store.set_state(message.position, message.state, message.delivery_count)

    def is_locked(self, message: Message) -> bool:
        """Whether a deferred message read from the store is held by somebody."""
        # deferred messages are few and locked one at a time by sequence number
        return any(lock.message.position == message.position for lock in self.locks.values())

    def remove(self, message: Message) -> None:
        """Take a message that is in no window out of the store."""
        self._store.delete(message.position)
        self.counts[message.state] -= 1
        self.size_bytes -= message.size

    # -- time ------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Do what is due: end locks, activate schedules, expire; and set the next alarm."""
        self.alarm_ms = None
        while self._lock_ends and self._lock_ends[0][0] <= now_ms:
            lock = self.locks.get(heapq.heappop(self._lock_ends)[1])
            if lock is not None and lock.until_ms <= now_ms:  # not renewed meanwhile
                self.give_back(lock, now_ms, counted=True)
        while due := self._store.due(self.id, now_ms, _BATCH):
            for message in due:
                self.remove(message)
                self._keeper.activate(message, now_ms)
        if self._next_expiry_ms is not None and self._next_expiry_ms <= now_ms:
            self._sweep(now_ms)
        self._set_alarm(self._lock_ends[0][0] if self._lock_ends else None)
        self._set_alarm(self._store.next_due_ms(self.id) if self.counts[State.SCHEDULED] else None)
        self._set_alarm(self._next_expiry_ms)

    def _sweep(self, now_ms: int) -> None:
        """Expire what is over; the locked is spared until its lock ends."""
        window = self._window
        for message in window.drop_over(now_ms):
            self._keeper.expire(message, now_ms)
        last = window.last[0]
        while window.behind and (batch := self._store.expired(self.id, last, now_ms, _BATCH)):
            for message in batch:
                self._keeper.expire(message, now_ms)
        ahead = window.next_expiry_ms()
        behind = self._store.next_expiry_ms(self.id, last) if window.behind else None
        self._next_expiry_ms = min((ms for ms in (ahead, behind) if ms is not None), default=None)

    def close(self) -> None:
        """Let go of everyone who takes messages: the entity is gone."""
        self.consumers.clear()

    def _set_alarm(self, at_ms: int | None) -> None:
        if at_ms is not None and (self.alarm_ms is None or at_ms < self.alarm_ms):
            self.alarm_ms = at_ms
            self._keeper.alarm(self, at_ms)
