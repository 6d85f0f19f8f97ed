"""A mailbox whose messages belong to sessions: one receiver holds a session at a time.

A session is held by name, or the next one that has messages and is free; the wait for one ends at a
time. What is locked is the session: its messages are settled while it is held and return to their
places when it is let go, counted as delivered only when its lock ran out. Only held sessions cost
memory; the others are rows. Sessions wait in the order of their names, round and round.
Source: Azure Service Bus documentation, message sessions.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

from localbus.broker.errors import LockLost, NotAllowed, SessionCannotBeLocked, SessionLockLost
from localbus.broker.mailbox import Consumer, Keeper, Lock, Mailbox
from localbus.broker.message import Message
from localbus.broker.window import Window
from localbus.store import Store

_WINDOW_MESSAGES = 100
_WINDOW_BYTES = 256 << 10
_EXPIRY_BATCH = 500
_LISTED = 100


class SessionConsumer(Consumer, Protocol):
    """Someone who wants a session and then takes its messages."""

    def accepted(self, session_id: str, until_ms: int) -> None:
        """The session is held for it until a time."""
        ...

    def timed_out(self) -> None:
        """No session was free for as long as it wanted to wait."""
        ...

    def session_lost(self, session_id: str) -> None:
        """The session's lock ran out; it is not held any more."""
        ...


@dataclass(slots=True, eq=False)
class HeldSession:
    """A session and who holds it."""

    session_id: str
    consumer: SessionConsumer
    until_ms: int
    window: Window
    tokens: set[UUID] = field(default_factory=set)


class SessionMailbox(Mailbox):
    """See the module. Times are milliseconds since the epoch."""

    def __init__(self, mailbox_id: int, store: Store, keeper: Keeper) -> None:
        super().__init__(mailbox_id, store, keeper)
        self._held: dict[str, HeldSession] = {}
        self._busy: dict[str, HeldSession] = {}
        """Held sessions that may have a message to deliver."""
        self._waiting: dict[SessionConsumer, int] = {}
        self._ends: list[tuple[int, str]] = []
        self._cursor: str | None = None
        self._searched = False
        """Whether no session was free at the last look; those that came since are candidates."""
        self._candidates: dict[str, None] = {}

    # -- sessions --------------------------------------------------------------------------

    def accept(
        self, consumer: SessionConsumer, session_id: str | None, now_ms: int, until_ms: int
    ) -> None:
        """Hold a session for `consumer`: the named one at once, or the next free one when `pump`
        finds it before `until_ms`. Raises SessionCannotBeLocked."""
        if session_id is None:
            self._waiting[consumer] = until_ms
            self._set_alarm(until_ms)
            return
        held = self._held.get(session_id)
        if held is not None and held.until_ms > now_ms:
            raise SessionCannotBeLocked(session_id)
        if held is not None:
            self._lose(held, now_ms)
        self._hold(consumer, session_id, now_ms)

    def leave(self, consumer: SessionConsumer, now_ms: int) -> None:
        """`consumer` is gone: it waits no more, or its session is free and nothing is counted."""
        self._waiting.pop(consumer, None)
        for held in list(self._held.values()):
            if held.consumer is consumer:
                self._free(held, now_ms, counted=False)

    def session(self, session_id: str, now_ms: int) -> HeldSession:
        """The session, while it is held. Raises SessionLockLost."""
        held = self._held.get(session_id)
        if held is None or held.until_ms <= now_ms:
            raise SessionLockLost(session_id)
        return held

    def renew_session(self, session_id: str, now_ms: int) -> int:
        """Hold on for another lock duration; returns until when. Raises SessionLockLost."""
        held = self.session(session_id, now_ms)
        self._hold_until(held, now_ms + self._keeper.lock_duration_ms)
        return held.until_ms

    def state(self, session_id: str, now_ms: int) -> bytes | None:
        """What was kept with the session. Raises SessionLockLost."""
        self.session(session_id, now_ms)
        return self._store.session_state(self.id, session_id)

    def set_state(self, session_id: str, state: bytes | None, now_ms: int) -> None:
        """Keep something with the session; None forgets it. Raises SessionLockLost."""
        self.session(session_id, now_ms)
        self._store.set_session_state(self.id, session_id, state, now_ms)

    def sessions(self, updated_after_ms: int | None, *, skip: int, top: int) -> list[str]:
        """Sessions by name, up to 100: those with active messages or state, or those whose state
        was set after a time."""
        top = min(max(top, 0), _LISTED)
        return self._store.sessions(self.id, updated_after_ms, skip=max(skip, 0), top=top)

    def _hold(self, consumer: SessionConsumer, session_id: str, now_ms: int) -> None:
        def read_page(_position: int, sequence_number: int) -> list[Message]:
            return self._store.session_page(
                self.id,
                session_id,
                sequence_number,
                messages=_WINDOW_MESSAGES,
                size=_WINDOW_BYTES,
            )

        window = Window(read_page, messages=_WINDOW_MESSAGES, size=_WINDOW_BYTES)
        window.behind = True
        held = HeldSession(session_id, consumer, 0, window)
        self._held[session_id] = self._busy[session_id] = held
        self._hold_until(held, now_ms + self._keeper.lock_duration_ms)
        consumer.accepted(session_id, held.until_ms)

    def _hold_until(self, held: HeldSession, until_ms: int) -> None:
        held.until_ms = until_ms
        for token in held.tokens:
            self.locks[token].until_ms = until_ms
        heapq.heappush(self._ends, (until_ms, held.session_id))
        self._set_alarm(until_ms)

    def _lose(self, held: HeldSession, now_ms: int) -> None:
        self._free(held, now_ms, counted=True)
        held.consumer.session_lost(held.session_id)

    def _free(self, held: HeldSession, now_ms: int, *, counted: bool) -> None:
        del self._held[held.session_id]
        self._busy.pop(held.session_id, None)
        for token in list(held.tokens):
            lock = self.locks[token]
            held.tokens.discard(token)
            self.give_back(lock, now_ms, counted=counted)
        self._candidates[held.session_id] = None

    # -- in and out ------------------------------------------------------------------------

    def _offer(self, message: Message) -> None:
        session_id = message.session_id
        assert session_id is not None
        held = self._held.get(session_id)
        if held is None:
            if self._searched:
                self._candidates[session_id] = None
        else:
            held.window.offer(message)
            self._busy[session_id] = held

    def _put_back(self, message: Message) -> None:
        held = self._held.get(message.session_id or "")
        if held is not None:  # else whoever holds the session next reads it from the store
            held.window.give_back(message)
            self._busy[held.session_id] = held

    def pump(self, now_ms: int, limit: int) -> bool:
        """Hand out sessions, then messages of those that are held."""
        self._serve_waiting(now_ms)
        for held in list(self._busy.values()):
            while held.consumer.ready():
                if limit == 0:
                    return True
                message = self._next(held.window, now_ms)
                if message is None:
                    self._busy.pop(held.session_id, None)
                    break
                limit -= 1
                self._hand_over(held.consumer, message, now_ms)
        return False

    def _serve_waiting(self, now_ms: int) -> None:
        while self._waiting:
            session_id = self._next_free()
            if session_id is None:
                return
            consumer = next(iter(self._waiting))
            del self._waiting[consumer]
            self._hold(consumer, session_id, now_ms)
        self._searched = False
        self._candidates.clear()

    def _next_free(self) -> str | None:
        if self._searched:
            while self._candidates:
                session_id = next(iter(self._candidates))
                del self._candidates[session_id]
                if session_id not in self._held and self._store.session_is_waiting(
                    self.id, session_id
                ):
                    return session_id
            return None
        begin, cursor, again = self._cursor or "", self._cursor, False
        while True:
            found = self._store.next_session(self.id, cursor)
            if found is None or (again and found > begin):
                if again:
                    self._searched = True
                    self._candidates.clear()
                    return None
                cursor, again = None, True
                continue
            cursor = found
            if found not in self._held:
                self._cursor = found
                return found

    def lock(self, message: Message, now_ms: int) -> Lock:
        held = self.session(message.session_id or "", now_ms)
        lock = Lock(uuid4(), message, held.until_ms, self)
        self.locks[lock.token] = lock
        held.tokens.add(lock.token)
        return lock

    def held(self, token: UUID, now_ms: int) -> Lock:
        lock = self.locks.get(token)
        if lock is None:
            raise LockLost
        self.session(lock.message.session_id or "", now_ms)
        return lock

    def renew(self, token: UUID, now_ms: int) -> int:
        raise NotAllowed("A message of a session has no lock of its own: renew the session's.")

    def _unlock(self, lock: Lock) -> None:
        super()._unlock(lock)
        held = self._held.get(lock.message.session_id or "")
        if held is not None:
            held.tokens.discard(lock.token)

    # -- time ------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Also end the sessions whose lock ran out, and the waits that were too long."""
        super().tick(now_ms)
        while self._ends and self._ends[0][0] <= now_ms:
            held = self._held.get(heapq.heappop(self._ends)[1])
            if held is not None and held.until_ms <= now_ms:  # not renewed meanwhile
                self._lose(held, now_ms)
        for consumer, until_ms in list(self._waiting.items()):
            if until_ms <= now_ms:
                del self._waiting[consumer]
                consumer.timed_out()
        self._set_alarm(self._ends[0][0] if self._ends else None)
        self._set_alarm(min(self._waiting.values(), default=None))

    def _sweep(self, now_ms: int) -> None:
        for held in self._held.values():
            held.window.drop_over(now_ms)  # they are among those the store names
        locked = {lock.message.position for lock in self.locks.values()}
        while True:
            batch = self._store.expired(self.id, 0, now_ms, _EXPIRY_BATCH + len(locked))
            over = [message for message in batch if message.position not in locked]
            if not over:
                break
            for message in over:
                self._keeper.expire(message, now_ms)
        self._next_expiry_ms = self._store.next_expiry_ms(self.id, 0, now_ms + 1)

    def close(self) -> None:
        super().close()
        self._held.clear()
        self._busy.clear()
        self._waiting.clear()
