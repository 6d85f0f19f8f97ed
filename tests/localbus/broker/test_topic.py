"""Topics, rules and forwarding with the time as a number: no sockets, no waiting."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localbus.amqp import codec
from localbus.amqp.types import Described, Timestamp, Ulong
from localbus.broker.errors import EntityExists, EntityNotFound
from localbus.broker.mailbox import Mailbox
from localbus.broker.message import Content, Message, State, read
from localbus.broker.namespace import Namespace
from localbus.broker.properties import (
    InvalidProperties,
    QueueProperties,
    SubscriptionProperties,
    TopicProperties,
)
from localbus.broker.queue import Queue
from localbus.broker.rules import Action, ConstantFilter, CorrelationFilter, Rule, SqlFilter
from localbus.broker.topic import Subscription
from localbus.store import Store

START = 1_700_000_000_000


def content(label: str = "", session_id: str | None = None, **user: Any) -> Content:
    """A message as a client would send it."""
    out = bytearray()
    properties = [None, None, None, label or None, *[None] * 6, session_id]
    codec.encode_into(out, Described(Ulong(0x73), properties))
    codec.encode_into(out, Described(Ulong(0x74), user))
    codec.encode_into(out, Described(Ulong(0x75), b"body"))
    return read(bytes(out))


def pump(namespace: Namespace, now_ms: int = START) -> None:
    """What the bus does in a turn."""
    namespace.tick(now_ms)
    while touched := namespace.take_touched():
        for mailbox in touched:
            mailbox.pump(now_ms, 1_000)


def waiting(queue: Queue, mailbox: Mailbox | None = None) -> list[Message]:
    return queue.peek(mailbox or queue.main, 1, 100)


@pytest.fixture
def namespace() -> Any:
    store = Store(None)
    yield Namespace(store)
    store.close()


@pytest.fixture
def subscription(namespace: Namespace) -> Subscription:
    namespace.create_topic("news", TopicProperties(), START)
    return namespace.create_subscription("news", "all", SubscriptionProperties(), START)


def test_copies_are_one_for_plain_rules_and_one_for_each_action(
    namespace: Namespace, subscription: Subscription
) -> None:
    """Five matching rules, two with actions, make three copies."""
    for number in range(2):
        subscription.add_rule(Rule(name=f"plain{number}", filter=ConstantFilter(truth=True)))
        action = Action(expression=f"SET n = {number}; SET sys.Label = 'new'")
        subscription.add_rule(
            Rule(name=f"act{number}", filter=SqlFilter(expression="1=1"), action=action)
        )

    namespace.topic("news").send(content("old"), START)

    bares = [m.content.bare for m in waiting(subscription) if m.content is not None]
    assert len(bares) == 3
    assert sum(b"new" in bare for bare in bares) == 2
    assert sum(b"act1" in bare for bare in bares) == 1


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        (CorrelationFilter(label="a"), True),
        (CorrelationFilter(label="b"), False),
        (CorrelationFilter(label="a", properties={"n": 1, "when": "x"}), False),
        (CorrelationFilter(properties={"n": 1}), True),
        (CorrelationFilter(session_id="s"), True),
        (CorrelationFilter(correlation_id="c"), False),
        (SqlFilter(expression="n = @n", parameters={"@n": 1}), True),
        (SqlFilter(expression="missing > 1"), False),
        (ConstantFilter(truth=False), False),
    ],
)
def test_rules_choose(
    namespace: Namespace, subscription: Subscription, rule: Any, taken: bool
) -> None:
    """A message is taken by the rules that hold for it, and only by those."""
    subscription.remove_rule("$default")
    subscription.add_rule(Rule(name="r", filter=rule))

    namespace.topic("news").send(content("a", session_id="s", n=1), START)

    assert bool(waiting(subscription)) is taken


@pytest.mark.parametrize(("keeps", "dead"), [(True, 1), (False, 0)])
def test_what_rules_cannot_judge_is_dead_lettered_by_choice(
    namespace: Namespace, keeps: bool, dead: int
) -> None:
    """A filter that fails for a message dead-letters it, or takes nothing."""
    namespace.create_topic("t", TopicProperties(), START)
    properties = SubscriptionProperties(dead_letter_on_filter_errors=keeps)
    subscription = namespace.create_subscription("t", "s", properties, START)
    subscription.remove_rule("$Default")
    subscription.add_rule(Rule(name="r", filter=SqlFilter(expression="n / 0 = 1")))

    namespace.topic("t").send(content(n=1), START)

    assert subscription.main.counts[State.ACTIVE] == 0
    assert subscription.dead.counts[State.ACTIVE] == dead


@pytest.mark.parametrize(
    "action",
    [
        "SET a = n * 9223372036854775807",
        "SET a = 'x' + n",
        "SET sys.Label = 1",
        " ".join(f"SET a{number} = text + text;" for number in range(20)),
    ],
)
def test_an_action_that_fails_is_a_rule_that_fails(
    namespace: Namespace, subscription: Subscription, action: str
) -> None:
    """What an action cannot do, or a message too large, dead-letters instead of doing harm."""
    rule = Rule(name="r", filter=ConstantFilter(truth=True), action=Action(expression=action))
    subscription.add_rule(rule)

    namespace.topic("news").send(content(n=2, text="x" * 20_000), START)

    assert subscription.main.counts[State.ACTIVE] == 0
    [dead] = waiting(subscription, subscription.dead)
    assert dead.content is not None
    assert b"FilterEvaluationException" in dead.content.bare


def test_a_time_beyond_the_calendar_is_unknown(
    namespace: Namespace, subscription: Subscription
) -> None:
    """A timestamp no calendar has is not comparable, and does no harm."""
    subscription.remove_rule("$Default")
    subscription.add_rule(Rule(name="r", filter=SqlFilter(expression="at IS NULL")))

    namespace.topic("news").send(content(at=Timestamp(1 << 62)), START)

    assert len(waiting(subscription)) == 1


def test_a_chain_of_forwards_ends_after_four(namespace: Namespace) -> None:
    """Four hops are made; the fifth ends in the transfer dead-letter queue of its source."""
    namespace.create("q5", QueueProperties(), START)
    for number in reversed(range(5)):
        properties = QueueProperties(forward_to=f"q{number + 1}")
        namespace.create(f"q{number}", properties, START)
    namespace.create("short", QueueProperties(forward_to="q2"), START)

    for name in ("q0", "short"):
        queue = namespace.queue(name)
        queue.send(content(), START)
        queue.main.pump(START, 10)
        pump(namespace)

    assert len(waiting(namespace.queue("q5"))) == 1
    [lost] = waiting(namespace.queue("q4"), namespace.queue("q4").transfer_dead)
    assert lost.content is not None
    assert b"MaxTransferHopCountExceeded" in lost.content.bare


def test_forwarding_begins_with_what_is_there(namespace: Namespace) -> None:
    """A queue that is told to forward hands on its backlog; one that stops keeps what comes."""
    source = namespace.create("source", QueueProperties(), START)
    target = namespace.create("target", QueueProperties(), START)
    source.send(content(), START)

    namespace.update("source", QueueProperties(forward_to="target"), START)
    pump(namespace)
    namespace.update("source", QueueProperties(), START)
    source.send(content(), START)
    pump(namespace)

    assert (len(waiting(source)), len(waiting(target))) == (1, 1)


def test_a_forward_that_leads_nowhere_is_kept_aside(namespace: Namespace) -> None:
    """When the destination is gone or disabled, messages wait in the transfer dead-letter queue."""
    namespace.create("target", QueueProperties(), START)
    source = namespace.create("source", QueueProperties(forward_to="target"), START)
    namespace.update("target", QueueProperties(status="SendDisabled"), START)
    source.send(content(), START)
    source.main.pump(START, 10)
    namespace.delete("target")
    source.send(content(), START)
    source.main.pump(START, 10)

    assert len(waiting(source, source.transfer_dead)) == 2


def test_dead_letters_are_forwarded_with_their_source(namespace: Namespace) -> None:
    """Dead-lettered messages go where they are forwarded to, saying where they died."""
    target = namespace.create("target", QueueProperties(), START)
    properties = QueueProperties(dead_letter_on_expiry=True, forward_dead_letters_to="target")
    source = namespace.create("source", properties, START)
    ends = QueueProperties(default_ttl_ms=1_000, dead_letter_on_expiry=True)
    namespace.update("source", QueueProperties(**{**ends.as_dict(), **{
        "forward_dead_letters_to": "target"}}), START)  # fmt: skip
    source.send(content(), START)

    pump(namespace, START + 1_000)

    [dead] = waiting(target)
    assert dead.content is not None
    assert b"x-opt-deadletter-source" in dead.content.pairs
    assert b"TTLExpiredException" in dead.content.bare


def test_messages_without_a_session_die_where_one_is_needed(namespace: Namespace) -> None:
    """What a topic or a forward brings without a session to an entity with sessions is
    dead-lettered."""
    namespace.create_topic("t", TopicProperties(), START)
    needs = SubscriptionProperties(requires_session=True)
    subscription = namespace.create_subscription("t", "s", needs, START)

    namespace.topic("t").send(content(), START)
    namespace.topic("t").send(content(session_id="a"), START)

    assert len(waiting(subscription)) == 1
    [dead] = waiting(subscription, subscription.dead)
    assert dead.content is not None
    assert b"Session id is null." in dead.content.bare


def test_names_are_unique_over_kinds(namespace: Namespace, subscription: Subscription) -> None:
    """A queue and a topic cannot share a name, nor two subscriptions of a topic or two rules."""
    with pytest.raises(EntityExists):
        namespace.create("NEWS", QueueProperties(), START)
    with pytest.raises(EntityExists):
        namespace.create_subscription("News", "ALL", SubscriptionProperties(), START)
    with pytest.raises(EntityExists):
        subscription.add_rule(Rule(name="$default", filter=ConstantFilter(truth=True)))
    with pytest.raises(EntityNotFound):
        namespace.create_subscription("olds", "all", SubscriptionProperties(), START)
    with pytest.raises(InvalidProperties):
        namespace.create("q", QueueProperties(forward_to="nowhere"), START)
    with pytest.raises(InvalidProperties):
        namespace.update_subscription(
            "news", "all", SubscriptionProperties(requires_session=True), START
        )


def test_a_restart_keeps_topics_rules_and_schedules(tmp_path: Path) -> None:
    """Topics, subscriptions with their rules, and what is scheduled on a topic come back."""
    store = Store(tmp_path / "bus.db")
    namespace = Namespace(store)
    namespace.create_topic("t", TopicProperties(), START)
    subscription = namespace.create_subscription("t", "s", SubscriptionProperties(), START)
    subscription.remove_rule("$Default")
    rules = [
        Rule(
            name="a",
            filter=SqlFilter(expression="n = @n", parameters={"@n": 1}),
            action=Action(expression="SET m = @m", parameters={"@m": 2.5}),
            created_ms=START,
        ),
        Rule(
            name="b",
            filter=CorrelationFilter(
                label="x", properties={"when": datetime(2026, 1, 2, tzinfo=UTC), "yes": True}
            ),
            created_ms=START + 1,
        ),
    ]
    for rule in rules:
        subscription.add_rule(rule)
    later = content(n=1)
    topic = namespace.topic("t")
    topic.send(read(_scheduled(later, START + 5_000)), START)
    store.close()

    store = Store(tmp_path / "bus.db")
    try:
        namespace = Namespace(store)
        subscription = namespace.subscription("T", "S")
        assert subscription.list_rules() == rules
        namespace.tick(START + 5_000)
        assert len(waiting(subscription)) == 1
        namespace.delete("t")
        assert list(store.tally()) == []
        assert store.entities() == []
    finally:
        store.close()


def _scheduled(sent: Content, due_ms: int) -> bytes:
    out = bytearray()
    due = {"x-opt-scheduled-enqueue-time": due_ms}
    codec.encode_into(out, Described(Ulong(0x72), due))
    return bytes(out) + sent.bare


def test_a_folder_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """A store of schema 1 opens with its queues and messages, and takes sessions and topics."""
    path = tmp_path / "bus.db"
    store = Store(path)
    Namespace(store).create("old", QueueProperties(), START).send(content(), START)
    store.close()
    with sqlite3.connect(path) as db:
        for statement in (
            "DROP TABLE rules",
            "DROP TABLE sessions",
            "DROP INDEX messages_by_session",
            "ALTER TABLE messages DROP COLUMN hops",
            "ALTER TABLE entities DROP COLUMN kind",
            "PRAGMA user_version = 1",
        ):
            db.execute(statement)
    db.close()

    store = Store(path)
    try:
        namespace = Namespace(store)
        assert len(waiting(namespace.queue("old"))) == 1
        namespace.create_topic("t", TopicProperties(), START)
        namespace.create("s", QueueProperties(requires_session=True), START).send(
            content(session_id="a"), START
        )
    finally:
        store.close()
