"""The namespace at work on an event loop: what is written in one turn is committed once.

Everything that arrives in one turn of the loop is taken, then messages are handed to waiting
receivers, then the store commits, and only then are answers written to the sockets. So nobody is
told of anything that is not on disk, and a busy loop shares a commit among many answers.
A store that fails to commit ends the bus: memory and disk no longer agree.
"""

from __future__ import annotations

import asyncio
import heapq
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from localbus.broker.mailbox import Mailbox
from localbus.broker.namespace import Namespace
from localbus.clock import Clock
from localbus.faults import Faults
from localbus.store import Store

_PUMP_LIMIT = 250
"""Messages handed out of one mailbox before others and the sockets have their turn."""
_QUIET_S = 1.0
"""Without a write for this long, the store's log is emptied: nobody waits for it then."""
_LOOK_EVERY_S = 5.0
"""The longest sleep with an alarm ahead: the machine may be asleep, or its clock be set."""


class Flushable(Protocol):
    """Someone with bytes to write once they are true."""

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Commit:
    done: asyncio.Future[None]

    def flush(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Bus:
    """See the module. All methods belong to the loop's thread."""

    def __init__(self, store: Store, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.namespace = Namespace(store)
        self.clock = clock
        self.loop = loop
        self.failure: asyncio.Future[None] = loop.create_future()
        self.faults: Faults | None = None
        """What is to go wrong, in a server that has a control API."""
        self._store = store
        self._changed: dict[int, Mailbox] = {}
        self._draining: list[Callable[[], None]] = []
        self._writers: dict[Flushable, None] = {}
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._later_count = 0
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms: int | None = None
        self._wrote_at = 0.0
        self._tidying: asyncio.TimerHandle | None = None
        clock.on_jump(self._jumped)

    def _jumped(self) -> None:
        self.loop.call_soon_threadsafe(self._set_out_anew)  # driven from another thread

    def _set_out_anew(self) -> None:
        self._timer_ms = None  # the timer's delay was counted before the jump
        self.wake()

    def changed(self, mailbox: Mailbox) -> None:
        """Messages or receivers came to this mailbox: see to it this turn."""
        self._changed[mailbox.id] = mailbox
        self.wake()

    def will_write(self, writer: Flushable) -> None:
        """Flush this writer after the commit of this turn."""
        self._writers[writer] = None
        self.wake()

    def will_drain(self, drain: Callable[[], None]) -> None:
        """Call this once the mailboxes have been seen to this turn."""
        self._draining.append(drain)
        self.wake()

    def at(self, due_ms: int, call: Callable[[], None]) -> None:
        """Call this in a turn, once the clock says `due_ms`; earlier ones first."""
        self._later_count += 1  # calls of one time are made in the order they were asked for
        heapq.heappush(self._later, (due_ms, self._later_count, call))
        self.wake()

    async def committed(self) -> None:
        """Wait until everything written so far is on disk."""
        commit = _Commit(self.loop.create_future())
        self.will_write(commit)
        await commit.done

    def wake(self) -> None:
        """Have a turn soon. Harmless when there is nothing to do."""
        if self._turn is None:
            self._turn = self.loop.call_soon(self._run_turn)

    def _run_turn(self) -> None:
        self._turn = None
        try:
            self._advance()
            if self._store.commit():
                self._wrote_at = self.loop.time()
                if self._tidying is None:
                    self._tidying = self.loop.call_later(_QUIET_S, self._tidy)
        except sqlite3.Error as error:
            self._fail(error)
            return
        writers, self._writers = self._writers, {}
        for writer in writers:
            writer.flush()
        self._set_timer()

    def _tidy(self) -> None:
        """Empty the store's log, or look again once it may have been quiet for long enough."""
        self._tidying = None
        quiet_at = self._wrote_at + _QUIET_S
        if self.failure.done():
            return
        if self._turn is not None or self.loop.time() < quiet_at:
            at = max(quiet_at, self.loop.time() + _QUIET_S / 10)
            self._tidying = self.loop.call_at(at, self._tidy)
            return
        try:
            self._store.empty_log()
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> None:
        if not self.failure.done():
            self.failure.set_exception(error)

    def _advance(self) -> None:
        now_ms = self.clock.now_ms()
        for mailbox in self.namespace.tick(now_ms):
            self._changed[mailbox.id] = mailbox
        while self._later and self._later[0][0] <= now_ms:
            heapq.heappop(self._later)[2]()
        changed, self._changed = self._changed, {}
        for mailbox in changed.values():
            if mailbox.pump(now_ms, _PUMP_LIMIT):
                self.changed(mailbox)
        # what was forwarded or dead-lettered meanwhile; nothing is forwarded more than four times
        while touched := self.namespace.take_touched():
            for mailbox in touched:
                if mailbox.pump(now_ms, _PUMP_LIMIT):
                    self.changed(mailbox)
        if not self._changed:  # else some receiver may still get a message before it is drained
            drains, self._draining = self._draining, []
            for drain in drains:
                drain()

    def _set_timer(self) -> None:
        alarm_ms = self.namespace.next_alarm_ms()
        if self._later and (alarm_ms is None or self._later[0][0] < alarm_ms):
            alarm_ms = self._later[0][0]
        if self._timer is not None:
            if alarm_ms == self._timer_ms and self._timer.when() > self.loop.time():
                return
            self._timer.cancel()
            self._timer = None
        self._timer_ms = alarm_ms
        if alarm_ms is not None:
            delay = max(alarm_ms - self.clock.now_ms(), 0) / 1000
            self._timer = self.loop.call_later(min(delay, _LOOK_EVERY_S), self.wake)

    def stop(self) -> None:
        """Write what is pending and let go of the loop; the store stays the caller's to close."""
        if self._turn is not None:
            self._turn.cancel()
        if not self.failure.done():
            self._run_turn()
            self.namespace.stop()
        for timer in (self._timer, self._tidying):
            if timer is not None:
                timer.cancel()
