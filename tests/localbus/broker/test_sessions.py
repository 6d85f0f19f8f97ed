"""The rules of sessions with the time as a number: whatever is done, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localbus.amqp import codec
from localbus.amqp.types import Described, Ulong
from localbus.broker.errors import LockLost, SessionCannotBeLocked, SessionLockLost
from localbus.broker.mailbox import Lock
from localbus.broker.message import Content, Message, State, read
from localbus.broker.namespace import Namespace
from localbus.broker.properties import QueueProperties
from localbus.broker.sessions import SessionMailbox
from localbus.store import Store

START = 1_700_000_000_000
LOCK_MS = 60_000


class Holder:
    """A consumer with credit that keeps what it was told and given."""

    locks = True

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.ended = ""
        self.credit = 0
        self.got: list[Lock] = []

    def ready(self) -> bool:
        return self.credit > 0

    def deliver(self, message: Message, lock: Lock | None) -> None:
        assert lock is not None
        assert message.session_id == self.session_id
        self.credit -= 1
        self.got.append(lock)

    def accepted(self, session_id: str, until_ms: int) -> None:
        self.session_id = session_id

    def timed_out(self) -> None:
        self.ended = "timed out"

    def session_lost(self, session_id: str) -> None:
        self.ended = "lost"


def content(session_id: str, ttl_ms: int | None = None) -> Content:
    """A message as a client would send it."""
    out = bytearray()
    if ttl_ms is not None:
        codec.encode_into(out, Described(Ulong(0x70), [None, None, ttl_ms]))
    codec.encode_into(out, Described(Ulong(0x73), [*[None] * 10, session_id]))
    codec.encode_into(out, Described(Ulong(0x75), b"x"))
    return read(bytes(out))


@pytest.fixture
def mailbox() -> Iterator[SessionMailbox]:
    store = Store(None)
    namespace = Namespace(store)
    queue = namespace.create("q", QueueProperties(requires_session=True), START)
    for session_id in ("a", "b", "a", "c"):
        queue.send(content(session_id), START)
    assert queue.sessions is not None
    yield queue.sessions
    store.close()


def test_next_available_goes_round(mailbox: SessionMailbox) -> None:
    """Sessions are handed out in turn, so that none waits for ever behind a busy one."""
    found = []
    for _ in range(4):
        holder = Holder()
        mailbox.accept(holder, None, START, START + 1)
        mailbox.pump(START, 10)
        found.append(holder.session_id)
        mailbox.leave(holder, START)

    assert found == ["a", "b", "c", "a"]


def test_a_wait_ends_at_its_time(mailbox: SessionMailbox) -> None:
    """Who waits for a session is told once its time is over, and not before."""
    holders = [Holder() for _ in range(4)]
    for holder in holders:
        mailbox.accept(holder, None, START, START + 5_000)
    mailbox.pump(START, 10)
    mailbox.tick(START + 4_999)
    assert [holder.ended for holder in holders] == [""] * 4

    mailbox.tick(START + 5_000)

    assert [holder.ended for holder in holders] == ["", "", "", "timed out"]


def test_a_session_ends_at_its_time(mailbox: SessionMailbox) -> None:
    """Until the last millisecond a session is held; from then on it is lost to its holder, and
    free for another even before the clock was looked at."""
    first, second = Holder(), Holder()
    mailbox.accept(first, "a", START, START)
    with pytest.raises(SessionCannotBeLocked):
        mailbox.accept(second, "a", START + LOCK_MS - 1, START)

    mailbox.accept(second, "a", START + LOCK_MS, START)

    assert (first.ended, second.session_id) == ("lost", "a")
    assert mailbox.renew_session("a", START + LOCK_MS) == START + 2 * LOCK_MS
    with pytest.raises(SessionLockLost):
        mailbox.set_state("b", b"x", START)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "brief", "next", "named", "credit", "credit", "complete"])
        | st.sampled_from(["abandon", "defer", "leave", "wait", "lapse", "renew", "restart"]),
        st.integers(0, 5),
    ),
    max_size=80,
)


@given(STEPS)
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_message_of_a_session_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Whatever is done in whatever order: each session has one holder, who sees its messages in
    order; counts and store agree; and in the end every message that is left can be had."""
    path = tmp_path_factory.mktemp("walk") / "bus.db"
    store = Store(path)
    namespace = Namespace(store)
    queue = namespace.create("q", QueueProperties(requires_session=True), START)
    now, sent, gone = START, 0, 0
    holders: list[Holder] = []
    try:
        for step, number in steps:
            mailbox = queue.sessions
            assert mailbox is not None
            live = [h for h in holders if h.session_id is not None and not h.ended]
            match step:
                case "send" | "brief":
                    queue.send(content("abc"[number % 3], 3_000 if step == "brief" else None), now)
                    sent += 1
                case "next" | "named":
                    holder = Holder()
                    wanted = None if step == "next" else "abc"[number % 3]
                    try:
                        mailbox.accept(holder, wanted, now, now + 10_000)
                        holders.append(holder)
                    except SessionCannotBeLocked:
                        assert wanted in {h.session_id for h in live}
                case "wait" | "lapse":
                    now += number * 1_000 if step == "wait" else LOCK_MS + 1_000
                    namespace.tick(now)
                case "restart":
                    store.close()
                    store = Store(path)
                    namespace, holders = Namespace(store), []
                    queue = namespace.queue("q")
                    namespace.tick(now)
                case "leave" if holders:
                    mailbox.leave(holders.pop(number % len(holders)), now)
                case _ if live:
                    holder = live[number % len(live)]
                    assert holder.session_id is not None
                    if step == "credit":
                        holder.credit += number
                    elif step == "renew":
                        mailbox.renew_session(holder.session_id, now)
                    elif holder.got:
                        lock = holder.got.pop(number % len(holder.got))
                        try:
                            if step == "complete":
                                queue.complete(mailbox, lock.token, now)
                                gone += 1
                            elif step == "abandon":
                                queue.abandon(mailbox, lock.token, now)
                            else:
                                queue.defer(mailbox, lock.token, now)
                        except LockLost:
                            raise AssertionError("a held session lost a lock") from None

            assert queue.sessions is not None
            before = sum(queue.main.counts.values()) + sum(queue.dead.counts.values())
            assert before <= sent - gone  # the rest has expired
            queue.sessions.pump(now, 1_000)
            held = [h.session_id for h in holders if h.session_id and not h.ended]
            assert len(held) == len(set(held))
            rows = {(box, state): count for box, state, count, _ in store.tally()}
            for state in State:
                assert rows.get((queue.main.id, state), 0) == queue.main.counts[state]

        assert queue.sessions is not None
        end = now + 200_000
        namespace.tick(end)
        for holder in holders:
            queue.sessions.leave(holder, end)
        taken: list[Lock] = []
        while True:
            last = Holder()
            last.credit = 1_000
            queue.sessions.accept(last, None, end, end + 1)
            queue.sessions.pump(end, 1_000)
            if last.session_id is None:
                break
            positions = [lock.message.position for lock in last.got]
            assert positions == sorted(set(positions))
            taken += last.got
            for lock in last.got:
                queue.complete(queue.sessions, lock.token, end)
            queue.sessions.leave(last, end)
        assert queue.main.counts[State.ACTIVE] == 0
        assert len({lock.message.position for lock in taken}) == len(taken)
    finally:
        store.close()
