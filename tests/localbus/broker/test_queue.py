"""The rules of a queue with the time as a number: no sockets, no waiting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localbus.amqp import codec
from localbus.amqp.types import Described, Timestamp, Uint, Ulong
from localbus.broker.errors import (
    EntityExists,
    EntityNotFound,
    LockLost,
    MessageNotFound,
    NotAllowed,
)
from localbus.broker.mailbox import WINDOW_MESSAGES, Lock, Mailbox
from localbus.broker.message import Content, Message, State, read
from localbus.broker.namespace import Namespace
from localbus.broker.properties import InvalidProperties, QueueProperties
from localbus.broker.queue import Queue
from localbus.store import Store, StoreInUse

START = 1_700_000_000_000


class Taker:
    """A consumer with credit that keeps what it was given."""

    def __init__(self, credit: int = 1_000_000, *, locks: bool = True) -> None:
        self.credit = credit
        self.locks = locks
        self.got: list[tuple[Message, Lock | None]] = []

    def ready(self) -> bool:
        return len(self.got) < self.credit

    def deliver(self, message: Message, lock: Lock | None) -> None:
        self.got.append((message, lock))


def content(
    text: str = "x", *, ttl_ms: int | None = None, due_ms: int | None = None, message_id: str = ""
) -> Content:
    """A message as a client would send it."""
    out = bytearray()
    if ttl_ms is not None:
        codec.encode_into(out, Described(Ulong(0x70), [None, None, Uint(ttl_ms)]))
    if due_ms is not None:
        annotations = {"x-opt-scheduled-enqueue-time": Timestamp(due_ms)}
        codec.encode_into(out, Described(Ulong(0x72), annotations))
    if message_id:
        codec.encode_into(out, Described(Ulong(0x73), [message_id]))
    codec.encode_into(out, Described(Ulong(0x75), text.encode()))
    return read(bytes(out))


def take(mailbox: Mailbox, now_ms: int = START, credit: int = 1) -> list[Lock]:
    """Lock up to `credit` messages."""
    taker = Taker(credit)
    mailbox.consumers.append(taker)
    mailbox.pump(now_ms, 1_000_000)
    mailbox.consumers.remove(taker)
    return [lock for _, lock in taker.got if lock is not None]


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store(None)
    yield opened
    opened.close()


@pytest.fixture
def namespace(store: Store) -> Namespace:
    return Namespace(store)


@pytest.fixture
def queue(namespace: Namespace) -> Queue:
    return namespace.create("orders", QueueProperties(), START)


def test_a_message_given_back_returns_to_its_place(queue: Queue) -> None:
    """Released messages come again in the order they had, before what came later."""
    for text in "abcd":
        queue.send(content(text), START)
    locks = take(queue.main, credit=3)

    for lock in (locks[2], locks[0], locks[1]):
        queue.release(queue.main, lock.token, START)

    again = take(queue.main, credit=4)
    assert [lock.message.sequence_number for lock in again] == [1, 2, 3, 4]
    assert {lock.message.delivery_count for lock in again} == {0}


def test_a_backlog_beyond_the_window_keeps_its_order(queue: Queue) -> None:
    """Messages that only the store holds come in order, with those that arrive meanwhile last."""
    total = WINDOW_MESSAGES * 2 + 10
    for _ in range(total):
        queue.send(content(), START)
    first = take(queue.main, credit=5)
    queue.send(content("last"), START)
    for lock in first:
        queue.release(queue.main, lock.token, START)

    taken = take(queue.main, credit=total + 10)

    numbers = [lock.message.sequence_number for lock in taken]
    assert numbers == list(range(1, total + 2))


def test_a_lock_ends_at_its_time_and_not_before(queue: Queue, namespace: Namespace) -> None:
    """Until the last millisecond a lock settles; from then on it is lost."""
    queue.send(content(), START)
    [lock] = take(queue.main)
    end = START + queue.properties.lock_duration_ms

    assert namespace.next_alarm_ms() == end
    assert queue.main.held(lock.token, end - 1) is lock
    with pytest.raises(LockLost):
        queue.complete(queue.main, lock.token, end)

    namespace.tick(end)
    [again] = take(queue.main, end)
    assert again.message.delivery_count == 1


def test_a_lock_is_settled_once(queue: Queue) -> None:
    """A second settlement, and one with an invented token, is refused."""
    queue.send(content(), START)
    [lock] = take(queue.main)
    queue.complete(queue.main, lock.token, START)

    for token in (lock.token, uuid4()):
        with pytest.raises(LockLost):
            queue.abandon(queue.main, token, START)


def test_a_locked_message_outlives_its_time_to_live_until_the_lock_ends(
    queue: Queue, namespace: Namespace
) -> None:
    """Expiry spares what is locked; it can still be completed, and is dropped when given back."""
    queue.send(content(ttl_ms=1_000), START)
    queue.send(content(ttl_ms=1_000), START)
    kept, lost = take(queue.main, credit=2)

    namespace.tick(START + 2_000)
    queue.complete(queue.main, kept.token, START + 2_000)
    queue.abandon(queue.main, lost.token, START + 2_000)
    namespace.tick(START + 2_000)

    assert queue.main.counts == dict.fromkeys(State, 0)


def test_expiry_reaches_messages_behind_the_window(queue: Queue, namespace: Namespace) -> None:
    """Messages that only the store holds expire on time as well."""
    for _ in range(WINDOW_MESSAGES + 100):
        queue.send(content(ttl_ms=1_000), START)
    queue.send(content("stays"), START)

    namespace.tick(START + 1_000)

    assert queue.main.counts[State.ACTIVE] == 1
    assert len(take(queue.main, START + 1_000, credit=5)) == 1


def test_time_to_live_begins_when_a_schedule_is_due(queue: Queue, namespace: Namespace) -> None:
    """A scheduled message lives its whole time from its enqueueing, under a new number."""
    number = queue.send(content(due_ms=START + 10_000, ttl_ms=1_000), START)

    namespace.tick(START + 10_000)
    [lock] = take(queue.main, START + 10_999)

    assert lock.message.expires_ms == START + 11_000
    assert lock.message.sequence_number != number


def test_a_schedule_in_the_past_is_now(queue: Queue) -> None:
    """A message scheduled for a time that has passed is enqueued at once."""
    queue.send(content(due_ms=START - 1), START)

    assert len(take(queue.main)) == 1


def test_duplicates_are_known_by_queue_and_window(namespace: Namespace) -> None:
    """Each queue has its own memory of ids, as long as its window."""
    properties = QueueProperties(detect_duplicates=True, duplicate_window_ms=1_000)
    one, two = (namespace.create(name, properties, START) for name in ("one", "two"))

    assert one.send(content(message_id="a"), START) > 0
    assert one.send(content(message_id="a"), START + 999) == 0
    assert two.send(content(message_id="a"), START) > 0
    assert one.send(content(message_id="b"), START) > 0
    assert one.send(content(message_id="a"), START + 1_000) > 0


def test_deferred_messages_are_taken_all_or_none(queue: Queue) -> None:
    """One missing or locked number among several leaves the others where they are."""
    for _ in range(2):
        queue.send(content(), START)
    for lock in take(queue.main, credit=2):
        queue.defer(queue.main, lock.token, START)

    with pytest.raises(MessageNotFound):
        queue.receive_deferred(queue.main, [1, 99], START, locked=True)
    assert len(queue.receive_deferred(queue.main, [1], START, locked=True)) == 1
    with pytest.raises(MessageNotFound):
        queue.receive_deferred(queue.main, [1, 2], START, locked=True)
    assert len(queue.receive_deferred(queue.main, [2], START, locked=False)) == 1


def test_a_deferred_message_expires_when_it_is_asked_for(queue: Queue) -> None:
    """Time to live does not touch a deferred message until somebody wants it."""
    queue.send(content(ttl_ms=1_000), START)
    [lock] = take(queue.main)
    queue.defer(queue.main, lock.token, START)
    queue.main.tick(START + 5_000)
    assert queue.main.counts[State.DEFERRED] == 1

    with pytest.raises(MessageNotFound):
        queue.receive_deferred(queue.main, [1], START + 5_000, locked=True)
    assert queue.main.counts[State.DEFERRED] == 0


def test_the_dead_letter_queue_is_the_end(queue: Queue) -> None:
    """Nothing is dead-lettered out of a dead-letter queue."""
    queue.send(content(), START)
    [lock] = take(queue.main)
    queue.dead_letter(queue.main, lock.token, START, {"DeadLetterReason": "r"})
    [dead] = take(queue.dead)

    with pytest.raises(NotAllowed):
        queue.dead_letter(queue.dead, dead.token, START, {})


def test_paths_lead_to_mailboxes(namespace: Namespace, queue: Queue) -> None:
    """Entity, dead-letter queue and management are found in any case, with or without a host."""
    assert namespace.resolve("amqps://host:1/Orders").mailbox is queue.main
    assert namespace.resolve("orders/$DeadLetterQueue").mailbox is queue.dead
    address = namespace.resolve("orders/$deadletterqueue/$management")
    assert (address.mailbox, address.management) == (queue.dead, True)
    with pytest.raises(EntityNotFound):
        namespace.resolve("orders/x")
    with pytest.raises(EntityExists):
        namespace.create("ORDERS", QueueProperties(), START)


def test_a_deleted_queue_takes_everything_with_it(namespace: Namespace, store: Store) -> None:
    """Deleting removes messages, alarms and the memory of ids; the name is free again."""
    properties = QueueProperties(detect_duplicates=True)
    queue = namespace.create("gone", properties, START)
    queue.send(content(ttl_ms=5_000, message_id="a"), START)

    taker = Taker()
    queue.main.consumers.append(taker)
    namespace.delete("gone")
    queue.main.pump(START, 10)

    assert taker.got == []
    assert list(store.tally()) == []
    assert namespace.next_alarm_ms() is None
    again = namespace.create("gone", properties, START)
    assert again.send(content(message_id="a"), START) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"lock_duration_ms": 300_001},
        {"lock_duration_ms": 0},
        {"max_delivery_count": 0},
        {"default_ttl_ms": 0},
        {"status": "Asleep"},
        {"requires_session": True, "forward_to": "elsewhere"},
        {"user_metadata": "x" * 1025},
        {"auto_delete_on_idle_ms": 1_000},
    ],
)
def test_settings_that_cannot_hold_are_refused(wrong: dict[str, object]) -> None:
    """What is out of bounds, or does not go together, is refused rather than ignored."""
    with pytest.raises(InvalidProperties):
        QueueProperties.from_dict(wrong)


def test_a_restart_keeps_what_was_committed(tmp_path: Path) -> None:
    """Messages, states, counts and settings return; locks are released, numbers go on."""
    store = Store(tmp_path / "bus.db")
    queue = Namespace(store).create("orders", QueueProperties(max_delivery_count=3), START)
    for _ in range(4):
        queue.send(content(), START)
    queue.send(content(due_ms=START + 1_000), START)
    abandoned, deferred, _locked = take(queue.main, credit=3)
    queue.abandon(queue.main, abandoned.token, START)
    queue.defer(queue.main, deferred.token, START)
    store.close()

    store = Store(tmp_path / "bus.db")
    namespace = Namespace(store)
    queue = namespace.queue("orders")
    try:
        assert queue.properties.max_delivery_count == 3
        assert queue.main.counts == {State.ACTIVE: 3, State.DEFERRED: 1, State.SCHEDULED: 1}
        locks = take(queue.main, credit=9)
        counts = [(lock.message.sequence_number, lock.message.delivery_count) for lock in locks]
        assert counts == [(1, 1), (3, 0), (4, 0)]
        namespace.tick(START + 1_000)
        assert queue.main.counts[State.SCHEDULED] == 0
        assert queue.send(content(), START) > 5
    finally:
        store.close()


def test_a_store_has_one_owner(tmp_path: Path) -> None:
    """A second process that opens the same file is refused."""
    store = Store(tmp_path / "bus.db")
    try:
        with pytest.raises(StoreInUse):
            Store(tmp_path / "bus.db")
    finally:
        store.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "ttl", "later", "take", "complete", "abandon", "defer"])
        | st.sampled_from(["release", "dead", "deferred", "renew", "wait", "lapse", "restart"]),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(STEPS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_message_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Whatever is done in whatever order, counts and store agree, and each message is in one
    place: available, locked, deferred, scheduled, dead-lettered or gone."""
    path = tmp_path_factory.mktemp("walk") / "bus.db"
    store = Store(path)
    namespace = Namespace(store)
    queue = namespace.create("q", QueueProperties(dead_letter_on_expiry=True), START)
    now, sent, completed = START, 0, 0
    held: list[Lock] = []
    try:
        for step, number in steps:
            match step:
                case "send" | "ttl" | "later":
                    ttl = 5_000 if step == "ttl" else None
                    due = now + 3_000 if step == "later" else None
                    queue.send(content(ttl_ms=ttl, due_ms=due), now)
                    sent += 1
                case "take":
                    held += take(queue.main, now, credit=number)
                case "wait" | "lapse":
                    now += 1_000 * number if step == "wait" else 61_000
                    namespace.tick(now)
                case "restart":
                    store.close()
                    store = Store(path)
                    namespace, held = Namespace(store), []
                    queue = namespace.queue("q")
                    namespace.tick(now)
                case "deferred":
                    for message in queue.peek(queue.main, 1, 100):
                        if message.state is State.DEFERRED and not queue.main.is_locked(message):
                            if message.expires_ms is None or message.expires_ms > now:
                                found = queue.receive_deferred(
                                    queue.main, [message.sequence_number], now, locked=True
                                )
                                held += [lock for _, lock in found if lock is not None]
                            break
                case _ if held:
                    lock = held.pop(number % len(held))
                    try:
                        if step == "complete":
                            queue.complete(queue.main, lock.token, now)
                            completed += 1
                        elif step == "abandon":
                            queue.abandon(queue.main, lock.token, now)
                        elif step == "release":
                            queue.release(queue.main, lock.token, now)
                        elif step == "defer":
                            queue.defer(queue.main, lock.token, now)
                        elif step == "dead":
                            queue.dead_letter(queue.main, lock.token, now, {})
                        else:
                            queue.main.renew(lock.token, now)
                            held.append(lock)
                    except LockLost:
                        assert lock.until_ms <= now

            total = sum(queue.main.counts.values()) + sum(queue.dead.counts.values())
            assert total == sent - completed
            rows = {(box, state): count for box, state, count, _ in store.tally()}
            for mailbox in queue.mailboxes:
                for state in State:
                    assert rows.get((mailbox.id, state), 0) == mailbox.counts[state]

        namespace.tick(now + 400_000)
        remaining = take(queue.main, now + 400_000, credit=100)
        assert len(remaining) == queue.main.counts[State.ACTIVE]
        positions = [lock.message.position for lock in remaining]
        assert positions == sorted(set(positions))
    finally:
        store.close()
