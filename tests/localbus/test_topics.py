"""What a user of azure-servicebus (sync) can rely on with topics and forwarding, over sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    NEXT_AVAILABLE_SESSION,
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus._common import mgmt_handlers
from azure.servicebus.exceptions import (
    MessagingEntityNotFoundError,
    ServiceBusError,
)

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE

WAIT = 5.0
TOPIC = "news"


@pytest.fixture(autouse=True)
def topic(bus: RunningBus) -> None:
    bus.create_topic(TOPIC)


def send(client: ServiceBusClient, *messages: ServiceBusMessage, topic: str = TOPIC) -> None:
    with client.get_topic_sender(topic) as sender:
        sender.send_messages(list(messages))


def everything(
    client: ServiceBusClient, name: str, sub_queue: ServiceBusSubQueue | None = None
) -> list[ServiceBusReceivedMessage]:
    """Take all that a subscription, or a queue when the name has no topic, has."""
    delete = ServiceBusReceiveMode.RECEIVE_AND_DELETE
    topic, _, subscription = name.rpartition("/")
    receiver = (
        client.get_subscription_receiver(
            topic, subscription, receive_mode=delete, sub_queue=sub_queue, prefetch_count=50
        )
        if topic
        else client.get_queue_receiver(
            name, receive_mode=delete, sub_queue=sub_queue, prefetch_count=50
        )
    )
    with receiver:
        return receiver.receive_messages(50, max_wait_time=3)


def test_each_subscription_gets_a_copy(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message sent to a topic arrives once in each subscription, as it was sent; what one
    settles the others keep."""
    for name in ("a", "b"):
        bus.create_subscription(TOPIC, name)
    send(client, ServiceBusMessage("x", message_id="m", application_properties={"n": 1}))

    with client.get_subscription_receiver(TOPIC, "a", max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert (str(got), got.message_id, got.application_properties) == ("x", "m", {b"n": 1})
    assert bus.counts(f"{TOPIC}/Subscriptions/a")["active"] == 0
    assert bus.counts(f"{TOPIC}/Subscriptions/b")["active"] == 1


def test_a_waiting_subscriber_is_served(client: ServiceBusClient, bus: RunningBus) -> None:
    """A receiver that waits on a subscription gets what is sent to the topic meanwhile."""
    bus.create_subscription(TOPIC, "a")
    with client.get_subscription_receiver(TOPIC, "a", max_wait_time=WAIT) as receiver:
        assert receiver.receive_messages(max_wait_time=0.2) == []
        send(client, ServiceBusMessage("x"))
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert str(got) == "x"


def test_filters_choose(client: ServiceBusClient, bus: RunningBus) -> None:
    """A subscription with an SQL filter gets the messages for which it is true."""
    bus.create_subscription(TOPIC, "big", sql="size > 5 AND sys.Label LIKE 'o%'")
    send(
        client,
        ServiceBusMessage("small", subject="one", application_properties={"size": 1}),
        ServiceBusMessage("big", subject="one", application_properties={"size": 9}),
        ServiceBusMessage("other", subject="two", application_properties={"size": 9}),
        ServiceBusMessage("unknown", subject="one"),
    )

    assert [str(message) for message in everything(client, f"{TOPIC}/big")] == ["big"]


def test_rules_are_managed_over_amqp(client: ServiceBusClient, bus: RunningBus) -> None:
    """The requests that rule managers of other clients send: add, list and remove a rule; its
    action changes the message and names the rule."""
    bus.create_subscription(TOPIC, "a")
    with client.get_subscription_receiver(TOPIC, "a", max_wait_time=WAIT) as receiver:

        def ask(operation: bytes, body: dict[str, Any]) -> Any:
            return receiver._mgmt_request_response_with_retry(
                b"com.microsoft:" + operation, body, mgmt_handlers.default
            )

        action = {"expression": "SET n = n + 1; REMOVE gone; SET sys.Label = 'new'"}
        description = {"sql-filter": {"expression": "n > 0"}, "sql-rule-action": action}
        ask(b"remove-rule", {"rule-name": "$Default"})
        ask(b"add-rule", {"rule-name": "act", "rule-description": description})
        with pytest.raises(ServiceBusError):
            ask(b"add-rule", {"rule-name": "act", "rule-description": description})
        broken = {"sql-filter": {"expression": "n >"}}
        with pytest.raises(ServiceBusError):
            ask(b"add-rule", {"rule-name": "no", "rule-description": broken})
        listed = ask(b"enumerate-rules", {"top": 100, "skip": 0})
    send(client, ServiceBusMessage("x", application_properties={"n": 1, "gone": True}))

    [got] = everything(client, f"{TOPIC}/a")

    [rule] = listed[b"rules"]
    assert rule[b"rule-description"][2] == b"act"
    assert got.application_properties == {b"n": 2, b"RuleName": b"act"}
    assert (str(got), got.subject) == ("x", "new")


def test_scheduled_on_a_topic(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message scheduled on a topic reaches the subscriptions when it is due, unless cancelled."""
    bus.create_subscription(TOPIC, "a")
    due = datetime.now(UTC) + timedelta(seconds=30)
    with client.get_topic_sender(TOPIC) as sender:
        sender.schedule_messages(ServiceBusMessage("x"), due)
        sender.cancel_scheduled_messages(sender.schedule_messages(ServiceBusMessage("y"), due))
    assert bus.counts(f"{TOPIC}/Subscriptions/a")["active"] == 0

    bus.clock.advance(31)

    assert [str(message) for message in everything(client, f"{TOPIC}/a")] == ["x"]


def test_duplicates_are_dropped_by_the_topic(client: ServiceBusClient, bus: RunningBus) -> None:
    """A topic with duplicate detection hands a message on once."""
    bus.create_topic("once", detect_duplicates=True)
    bus.create_subscription("once", "a")
    send(client, *(ServiceBusMessage("x", message_id="same") for _ in range(3)), topic="once")

    assert bus.counts("once/Subscriptions/a")["active"] == 1


def test_sessions_on_a_subscription(client: ServiceBusClient, bus: RunningBus) -> None:
    """A subscription with sessions hands out sessions; messages without one are dead-lettered."""
    bus.create_subscription(TOPIC, "a", requires_session=True)
    send(client, ServiceBusMessage("x", session_id="s"), ServiceBusMessage("lost"))

    with client.get_subscription_receiver(
        TOPIC, "a", session_id=NEXT_AVAILABLE_SESSION, max_wait_time=WAIT
    ) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)
    [dead] = everything(client, f"{TOPIC}/a", ServiceBusSubQueue.DEAD_LETTER)

    assert (str(got), receiver.session.session_id) == ("x", "s")
    assert (str(dead), dead.dead_letter_reason) == ("lost", "Session id is null.")


def test_topics_are_sent_to_and_subscriptions_received_from(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """The other way round, and names that are not there, are refused."""
    bus.create_subscription(TOPIC, "a")

    with pytest.raises(ServiceBusError, match="is a topic"), client.get_queue_receiver(TOPIC):
        pass
    path = f"{TOPIC}/Subscriptions/a"
    with pytest.raises(ServiceBusError), client.get_queue_sender(path):
        pass
    with (
        pytest.raises(MessagingEntityNotFoundError),
        client.get_subscription_receiver(TOPIC, "nobody"),
    ):
        pass


def test_forwarding_reaches_the_last_in_the_chain(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """Queue to topic, subscription to queue: the message arrives where the chain ends, and a
    receiver that waits there gets it."""
    bus.create_queue("first", forward_to=TOPIC)
    bus.create_subscription(TOPIC, "a", forward_to=QUEUE)
    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        assert receiver.receive_messages(max_wait_time=0.2) == []
        with client.get_queue_sender("first") as sender:
            sender.send_messages(ServiceBusMessage("x"))
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert (str(got), got.enqueued_sequence_number) == ("x", 1)
    with pytest.raises(ServiceBusError), client.get_queue_receiver("first", max_wait_time=1):
        pass


def test_what_cannot_be_forwarded_is_in_the_transfer_dead_letter_queue(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """When the destination is gone, messages wait in the source's transfer dead-letter queue."""
    bus.create_queue("first", forward_to=QUEUE)
    bus.delete_queue(QUEUE)
    with client.get_queue_sender("first") as sender:
        sender.send_messages(ServiceBusMessage("x"))

    [lost] = everything(client, "first", ServiceBusSubQueue.TRANSFER_DEAD_LETTER)

    assert (str(lost), lost.dead_letter_reason) == ("x", "MessagingEntityNotFound")


def test_dead_letters_are_forwarded(client: ServiceBusClient, bus: RunningBus) -> None:
    """Dead-lettered messages are forwarded with their reason, and say where they come from."""
    bus.create_queue("first", forward_dead_letters_to=QUEUE)
    with client.get_queue_sender("first") as sender:
        sender.send_messages(ServiceBusMessage("x"))
    with client.get_queue_receiver("first", max_wait_time=WAIT) as receiver:
        receiver.dead_letter_message(receiver.receive_messages()[0], reason="bad")

    [got] = everything(client, QUEUE)

    assert (str(got), got.dead_letter_reason, got.dead_letter_source) == ("x", "bad", "first")
