"""Topics, subscriptions and rules through ServiceBusAdministrationClient."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import (
    CorrelationRuleFilter,
    FalseRuleFilter,
    ServiceBusAdministrationClient,
    SqlRuleAction,
    SqlRuleFilter,
    TrueRuleFilter,
)

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE

TOPIC, SUBSCRIPTION = "news", "sport"


@pytest.fixture
def subscription(bus: RunningBus) -> None:
    bus.create_topic(TOPIC)
    bus.create_subscription(TOPIC, SUBSCRIPTION)


def test_a_topic_is_created_found_updated_and_deleted(
    admin: ServiceBusAdministrationClient,
) -> None:
    """A topic has the properties it was given, takes new ones, and is gone when it is deleted."""
    admin.create_topic(
        "made",
        default_message_time_to_live=timedelta(days=2),
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window=timedelta(minutes=3),
        user_metadata="note",
    )
    found = admin.get_topic("made")
    assert found.default_message_time_to_live == timedelta(days=2)
    assert found.requires_duplicate_detection is True
    assert found.duplicate_detection_history_time_window == timedelta(minutes=3)
    assert (found.user_metadata, found.status) == ("note", "Active")

    found.user_metadata = "changed"
    admin.update_topic(found)
    assert admin.get_topic("made").user_metadata == "changed"

    admin.delete_topic("made")
    with pytest.raises(ResourceNotFoundError):
        admin.get_topic("made")


def test_a_subscription_is_created_found_updated_and_deleted(
    admin: ServiceBusAdministrationClient,
) -> None:
    """As for topics."""
    admin.create_topic(TOPIC)
    admin.create_subscription(
        TOPIC,
        SUBSCRIPTION,
        lock_duration=timedelta(seconds=20),
        requires_session=True,
        max_delivery_count=4,
        dead_lettering_on_filter_evaluation_exceptions=False,
        forward_dead_lettered_messages_to=QUEUE,
    )
    found = admin.get_subscription(TOPIC, SUBSCRIPTION)
    assert (found.name, found.max_delivery_count) == (SUBSCRIPTION, 4)
    assert found.lock_duration == timedelta(seconds=20)
    assert found.requires_session is True
    assert found.dead_lettering_on_filter_evaluation_exceptions is False
    assert found.forward_dead_lettered_messages_to == QUEUE

    found.max_delivery_count = 5
    admin.update_subscription(TOPIC, found)
    assert admin.get_subscription(TOPIC, SUBSCRIPTION).max_delivery_count == 5

    admin.delete_subscription(TOPIC, SUBSCRIPTION)
    with pytest.raises(ResourceNotFoundError):
        admin.get_subscription(TOPIC, SUBSCRIPTION)
    with pytest.raises(ResourceNotFoundError):
        admin.create_subscription("nowhere", SUBSCRIPTION)


def test_lists_are_complete_over_pages(admin: ServiceBusAdministrationClient) -> None:
    """Topics, subscriptions and rules are listed by name, however many pages it takes."""
    names = [f"n{number:03}" for number in range(105)]
    for name in ("a", "b"):
        admin.create_topic(name)
    for name in names:
        admin.create_subscription("a", name)
        admin.create_rule("a", "n000", name, filter=TrueRuleFilter())

    assert [topic.name for topic in admin.list_topics()] == ["a", "b"]
    assert [each.name for each in admin.list_subscriptions("a")] == names
    assert [rule.name for rule in admin.list_rules("a", "n000")] == ["$Default", *names]
    assert list(admin.list_subscriptions("b")) == []
    assert [queue.name for queue in admin.list_queues()] == [QUEUE]


@pytest.mark.usefixtures("subscription")
def test_rules_keep_every_detail(admin: ServiceBusAdministrationClient) -> None:
    """Filters and actions come back with their parameters and types."""
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    values: dict[str, Any] = {
        "text": "a & <b>",
        "n": 7,
        "big": 1 << 40,
        "x": 1.5,
        "yes": True,
        "when": when,
    }
    admin.create_rule(
        TOPIC,
        SUBSCRIPTION,
        "sql",
        filter=SqlRuleFilter("n = @n AND colour <> 'a''b'", parameters={"@n": 7}),
        action=SqlRuleAction("SET m = @m", parameters={"@m": "x"}),
    )
    admin.create_rule(
        TOPIC,
        SUBSCRIPTION,
        "correlation",
        filter=CorrelationRuleFilter(
            correlation_id="c", label="l", session_id="s", content_type="t", properties=values
        ),
    )
    admin.create_rule(TOPIC, SUBSCRIPTION, "none", filter=FalseRuleFilter())

    sql = admin.get_rule(TOPIC, SUBSCRIPTION, "sql")
    correlation = admin.get_rule(TOPIC, SUBSCRIPTION, "correlation").filter

    assert isinstance(sql.filter, SqlRuleFilter)
    assert sql.filter.sql_expression == "n = @n AND colour <> 'a''b'"
    assert sql.filter.parameters == {"@n": 7}
    assert sql.action is not None
    assert (sql.action.sql_expression, sql.action.parameters) == ("SET m = @m", {"@m": "x"})
    assert sql.created_at_utc is not None
    assert isinstance(correlation, CorrelationRuleFilter)
    assert (correlation.correlation_id, correlation.label) == ("c", "l")
    assert (correlation.session_id, correlation.content_type) == ("s", "t")
    assert correlation.properties == values
    assert isinstance(admin.get_rule(TOPIC, SUBSCRIPTION, "none").filter, FalseRuleFilter)
    assert isinstance(admin.get_rule(TOPIC, SUBSCRIPTION, "$Default").filter, TrueRuleFilter)


@pytest.mark.usefixtures("subscription")
def test_rules_are_updated_and_deleted(admin: ServiceBusAdministrationClient) -> None:
    """An update replaces a rule; a deleted one is not found; what is there is not made again."""
    rule = admin.get_rule(TOPIC, SUBSCRIPTION, "$Default")
    rule.filter = SqlRuleFilter("n > 1")
    admin.update_rule(TOPIC, SUBSCRIPTION, rule)
    changed = admin.get_rule(TOPIC, SUBSCRIPTION, "$Default").filter
    assert isinstance(changed, SqlRuleFilter)
    assert changed.sql_expression == "n > 1"
    with pytest.raises(ResourceExistsError):
        admin.create_rule(TOPIC, SUBSCRIPTION, "$default", filter=TrueRuleFilter())

    admin.delete_rule(TOPIC, SUBSCRIPTION, "$Default")

    with pytest.raises(ResourceNotFoundError):
        admin.get_rule(TOPIC, SUBSCRIPTION, "$Default")
    with pytest.raises(ResourceNotFoundError):
        admin.delete_rule(TOPIC, SUBSCRIPTION, "$Default")


@pytest.mark.usefixtures("subscription")
@pytest.mark.parametrize(
    ("name", "sql", "action"),
    [
        ("r", "n =", None),
        ("r", "n = @p", None),
        ("r", "sys.Nothing = 1", None),
        ("r", "1=1", "SET"),
        ("a/b", "1=1", None),
        ("x" * 52, "1=1", None),
    ],
)
def test_rules_that_cannot_be_are_refused(
    admin: ServiceBusAdministrationClient, name: str, sql: str, action: str | None
) -> None:
    """A filter or action that is no SQL, or a name that is none, is refused with status 400."""
    with pytest.raises(HttpResponseError) as refused:
        admin.create_rule(
            TOPIC,
            SUBSCRIPTION,
            name,
            filter=SqlRuleFilter(sql),
            action=None if action is None else SqlRuleAction(action),
        )

    assert refused.value.status_code in {400, 404}  # a name with a slash is another path


@pytest.mark.usefixtures("subscription")
def test_runtime_properties_count(
    admin: ServiceBusAdministrationClient, client: ServiceBusClient
) -> None:
    """Counts of a subscription are its own; a topic tells its subscriptions and schedules."""
    with client.get_topic_sender(TOPIC) as sender:
        sender.send_messages([ServiceBusMessage("x"), ServiceBusMessage("y")])
        sender.schedule_messages(ServiceBusMessage("z"), datetime.now(UTC) + timedelta(hours=1))
    with client.get_subscription_receiver(TOPIC, SUBSCRIPTION, max_wait_time=5) as receiver:
        receiver.dead_letter_message(receiver.receive_messages()[0])

    topic = admin.get_topic_runtime_properties(TOPIC)
    found = admin.get_subscription_runtime_properties(TOPIC, SUBSCRIPTION)
    [listed] = admin.list_subscriptions_runtime_properties(TOPIC)

    assert (topic.subscription_count, topic.scheduled_message_count) == (1, 1)
    assert topic.size_in_bytes is not None
    assert topic.size_in_bytes > 100
    assert (found.active_message_count, found.dead_letter_message_count) == (1, 1)
    assert (found.total_message_count, found.transfer_dead_letter_message_count) == (2, 0)
    assert listed.active_message_count == 1


def test_forwarding_is_shown_and_updated(
    admin: ServiceBusAdministrationClient, bus: RunningBus
) -> None:
    """ForwardTo comes back by name; an update sends what is there on its way."""
    admin.create_queue("first")
    queue = admin.get_queue("first")
    queue.forward_to = QUEUE

    admin.update_queue(queue)

    assert admin.get_queue("first").forward_to == QUEUE
    with pytest.raises(ResourceExistsError):
        admin.create_topic("FIRST")
    assert bus.counts("first")["active"] == 0
