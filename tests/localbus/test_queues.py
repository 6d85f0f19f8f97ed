"""What a user of azure-servicebus (sync) can rely on, over real sockets."""

from __future__ import annotations

import gc
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusError,
)

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE, loses_connections

WAIT = 5.0
NOTHING = {"active": 0, "deferred": 0, "scheduled": 0, "dead_letter": 0}


def send(client: ServiceBusClient, *messages: ServiceBusMessage, queue: str = QUEUE) -> None:
    with client.get_queue_sender(queue) as sender:
        for message in messages:
            sender.send_messages(message)


def test_a_message_arrives_as_it_was_sent(client: ServiceBusClient) -> None:
    """Body, properties and application properties come back with their values and types."""
    sent = ServiceBusMessage(
        b"body",
        message_id="id-1",
        correlation_id="run-7",
        subject="label",
        to="there",
        reply_to="here",
        content_type="text/plain",
        time_to_live=timedelta(hours=1),
        application_properties={
            "n": 7,
            "text": "été",
            "flag": True,
            "x": 1.5,
            "u": uuid.UUID(int=5),
        },
    )
    send(client, sent)

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert b"".join(got.body) == b"body"
    assert (got.message_id, got.correlation_id, got.subject) == ("id-1", "run-7", "label")
    assert (got.to, got.reply_to, got.content_type) == ("there", "here", "text/plain")
    assert got.time_to_live == timedelta(hours=1)
    assert got.application_properties == {
        b"n": 7,
        b"text": "été".encode(),
        b"flag": True,
        b"x": 1.5,
        b"u": uuid.UUID(int=5),
    }
    assert (got.sequence_number, got.delivery_count) == (1, 0)
    assert got.state is ServiceBusMessageState.ACTIVE
    assert got.enqueued_time_utc is not None
    assert got.expires_at_utc == got.enqueued_time_utc + timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"value_body": {"a": [1, "x", None]}}, AmqpMessageBodyType.VALUE),
        ({"sequence_body": [[1, 2], ["a"]]}, AmqpMessageBodyType.SEQUENCE),
        ({"data_body": [b"one", b"two"]}, AmqpMessageBodyType.DATA),
    ],
)
def test_every_kind_of_body_passes(
    client: ServiceBusClient, body: dict[str, Any], kind: AmqpMessageBodyType
) -> None:
    """Value, sequence and data bodies arrive as the kind they were sent as."""
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(AmqpAnnotatedMessage(**body))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert got.body_type is kind


def test_completed_messages_are_gone(client: ServiceBusClient, bus: RunningBus) -> None:
    """A completed message is delivered to nobody again and counted nowhere."""
    send(client, ServiceBusMessage("x"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert bus.counts(QUEUE) == NOTHING


def test_order_is_that_of_arrival(client: ServiceBusClient) -> None:
    """Messages are delivered in the order they were sent, batches included."""
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(ServiceBusMessage("0"))
        batch = sender.create_message_batch()
        for number in range(1, 6):
            batch.add_message(ServiceBusMessage(str(number)))
        sender.send_messages(batch)
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(6, 9)])

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT, prefetch_count=20) as receiver:
        got = []
        for message in receiver:
            got.append(str(message))
            receiver.complete_message(message)
            if len(got) == 9:
                break

    assert got == [str(number) for number in range(9)]


def test_receive_and_delete_takes_at_once(client: ServiceBusClient, bus: RunningBus) -> None:
    """In receive-and-delete mode a delivered message is gone without settlement."""
    send(client, ServiceBusMessage("x"))

    with client.get_queue_receiver(
        QUEUE, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE, max_wait_time=WAIT
    ) as receiver:
        [got] = receiver.receive_messages()

    assert str(got) == "x"
    assert bus.counts(QUEUE) == NOTHING


def test_an_abandoned_message_comes_back_in_its_place(client: ServiceBusClient) -> None:
    """Abandon returns a message before later ones, its delivery count one higher."""
    send(client, ServiceBusMessage("first"), ServiceBusMessage("second"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [first] = receiver.receive_messages()
        receiver.abandon_message(first)
        [again] = receiver.receive_messages()
        receiver.complete_message(again)

    assert (str(again), again.delivery_count) == ("first", 1)
    assert again.sequence_number == first.sequence_number


def test_too_many_deliveries_dead_letter(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message abandoned max_delivery_count times is dead-lettered with the service's reason."""
    bus.create_queue("twice", max_delivery_count=2)
    send(client, ServiceBusMessage("poison"), queue="twice")

    with client.get_queue_receiver("twice", max_wait_time=WAIT) as receiver:
        for _ in range(2):
            [got] = receiver.receive_messages()
            receiver.abandon_message(got)
    with client.get_queue_receiver(
        "twice", sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as receiver:
        [dead] = receiver.receive_messages()
        receiver.complete_message(dead)

    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert "2 delivery attempts" in (dead.dead_letter_error_description or "")
    assert dead.delivery_count == 2
    assert bus.counts("twice") == NOTHING


def test_dead_lettering_keeps_the_message_and_says_why(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """A dead-lettered message waits in the subqueue with reason, description and its own facts."""
    send(client, ServiceBusMessage("x", message_id="m", application_properties={"a": 1}))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.dead_letter_message(got, reason="bad", error_description="very bad")
    assert bus.counts(QUEUE) == {**NOTHING, "dead_letter": 1}
    with client.get_queue_receiver(
        QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as receiver:
        [dead] = receiver.receive_messages()
        receiver.complete_message(dead)

    assert (dead.dead_letter_reason, dead.dead_letter_error_description) == ("bad", "very bad")
    assert (str(dead), dead.message_id) == ("x", "m")
    assert (dead.application_properties or {})[b"a"] == 1
    assert dead.sequence_number == got.sequence_number


def test_a_dead_letter_cannot_die_twice(client: ServiceBusClient) -> None:
    """Dead-lettering in the dead-letter queue is refused; abandoning there never moves it."""
    send(client, ServiceBusMessage("x"))
    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.dead_letter_message(got)

    with client.get_queue_receiver(
        QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as receiver:
        for _ in range(12):
            [dead] = receiver.receive_messages()
            receiver.abandon_message(dead)
        [dead] = receiver.receive_messages()
        with pytest.raises(ServiceBusError):
            receiver.dead_letter_message(dead)

    assert dead.delivery_count == 12


def test_deferred_messages_wait_to_be_asked_for(client: ServiceBusClient, bus: RunningBus) -> None:
    """A deferred message is received by its sequence number only, then settled as any other."""
    send(client, ServiceBusMessage("later"), ServiceBusMessage("now"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [later] = receiver.receive_messages()
        assert later.sequence_number is not None
        receiver.defer_message(later)
        [now] = receiver.receive_messages()
        receiver.complete_message(now)
        assert bus.counts(QUEUE) == {**NOTHING, "deferred": 1}
        [got] = receiver.receive_deferred_messages(later.sequence_number)
        receiver.complete_message(got)
        with pytest.raises(MessageNotFoundError):
            receiver.receive_deferred_messages(later.sequence_number)

    assert (str(now), str(got)) == ("now", "later")
    assert bus.counts(QUEUE) == NOTHING


def test_a_deferred_message_abandoned_stays_deferred(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """Abandoning a deferred message leaves it to be received by its number again."""
    send(client, ServiceBusMessage("later"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [first] = receiver.receive_messages()
        assert first.sequence_number is not None
        receiver.defer_message(first)
        [second] = receiver.receive_deferred_messages([first.sequence_number])
        receiver.abandon_message(second)
        [third] = receiver.receive_deferred_messages([first.sequence_number])
        receiver.dead_letter_message(third, reason="done")

    assert third.delivery_count == 2
    assert bus.counts(QUEUE) == {**NOTHING, "dead_letter": 1}


def test_a_lapsed_lock_brings_the_message_back(client: ServiceBusClient, bus: RunningBus) -> None:
    """When a lock ends the message is delivered again, counted; the old lock settles nothing."""
    send(client, ServiceBusMessage("x"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [first] = receiver.receive_messages()
        bus.clock.advance(61)
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(first)
        [second] = receiver.receive_messages()
        receiver.complete_message(second)

    assert (str(second), second.delivery_count) == ("x", 1)
    assert bus.counts(QUEUE) == NOTHING


def test_a_renewed_lock_holds(client: ServiceBusClient, bus: RunningBus) -> None:
    """Renewal keeps a lock for another lock duration; a lost one cannot be renewed."""
    send(client, ServiceBusMessage("x"))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        before = got.locked_until_utc
        bus.clock.advance(45)
        until = receiver.renew_message_lock(got)
        bus.clock.advance(45)
        receiver.complete_message(got)
        send(client, ServiceBusMessage("y"))
        [other] = receiver.receive_messages()
        bus.clock.advance(61)
        with pytest.raises(MessageLockLostError):
            receiver.renew_message_lock(other)

    assert before is not None
    assert until > before


def test_a_receiver_that_closes_keeps_its_locks(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message received and not settled stays locked when its receiver closes, until the lock
    ends."""
    send(client, ServiceBusMessage("x"))
    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        receiver.receive_messages()

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        assert receiver.receive_messages(max_wait_time=0.3) == []
        bus.clock.advance(61)
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert got.delivery_count == 1


def test_prefetched_messages_are_released_on_close(client: ServiceBusClient) -> None:
    """What a receiver had prefetched and nobody saw is there for the next, not counted."""
    send(client, *(ServiceBusMessage(str(number)) for number in range(5)))
    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT, prefetch_count=5) as receiver:
        [first] = receiver.receive_messages()
        receiver.complete_message(first)

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert (str(got), got.delivery_count) == ("1", 0)


def test_peek_shows_everything_and_locks_nothing(client: ServiceBusClient) -> None:
    """Peek lists active, locked, deferred and scheduled messages in order, with their states."""
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages([ServiceBusMessage("deferred"), ServiceBusMessage("locked")])
        sender.send_messages(ServiceBusMessage("active"))
        sender.schedule_messages(ServiceBusMessage("scheduled"), _in(3600))
    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        deferred, _locked = [receiver.receive_messages()[0] for _ in range(2)]
        receiver.defer_message(deferred)

        seen = receiver.peek_messages(10, sequence_number=1)
        tail = receiver.peek_messages(10, sequence_number=3)

    assert [(str(each), each.state) for each in seen] == [
        ("deferred", ServiceBusMessageState.DEFERRED),
        ("locked", ServiceBusMessageState.ACTIVE),
        ("active", ServiceBusMessageState.ACTIVE),
        ("scheduled", ServiceBusMessageState.SCHEDULED),
    ]
    assert [str(each) for each in tail] == ["active", "scheduled"]


def test_peek_of_nothing_is_empty(client: ServiceBusClient) -> None:
    """Peeking an empty queue returns an empty list at once."""
    with client.get_queue_receiver(QUEUE) as receiver:
        assert receiver.peek_messages(5) == []


def test_scheduled_messages_come_when_due(client: ServiceBusClient, bus: RunningBus) -> None:
    """A scheduled message is delivered once its time has come, and not before."""
    with client.get_queue_sender(QUEUE) as sender:
        numbers = sender.schedule_messages(
            [ServiceBusMessage("a"), ServiceBusMessage("b")], _in(60)
        )
        sender.send_messages(ServiceBusMessage("c", scheduled_enqueue_time_utc=_in(60)))
    assert len(set(numbers)) == 2
    assert bus.counts(QUEUE) == {**NOTHING, "scheduled": 3}

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        assert receiver.receive_messages(max_wait_time=0.3) == []
        bus.clock.advance(60)
        got = receiver.receive_messages(3)
        for message in got:
            receiver.complete_message(message)

    assert [str(message) for message in got] == ["a", "b", "c"]


def test_cancelled_schedules_never_come(client: ServiceBusClient, bus: RunningBus) -> None:
    """A cancelled schedule is gone; cancelling twice says that there is no such message."""
    with client.get_queue_sender(QUEUE) as sender:
        numbers = sender.schedule_messages([ServiceBusMessage("a")], _in(60))
        sender.cancel_scheduled_messages(numbers)
        with pytest.raises(MessageNotFoundError):
            sender.cancel_scheduled_messages(numbers)

    bus.clock.advance(61)
    assert bus.counts(QUEUE) == NOTHING


def test_duplicates_within_the_window_are_dropped(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """A second message with the same id is taken and dropped, until the window is over."""
    bus.create_queue("once", detect_duplicates=True, duplicate_window_ms=60_000)
    send(client, *(ServiceBusMessage("x", message_id="same") for _ in range(3)), queue="once")
    send(client, ServiceBusMessage("y", message_id="other"), queue="once")
    assert bus.counts("once")["active"] == 2

    bus.clock.advance(61)
    send(client, ServiceBusMessage("x", message_id="same"), queue="once")

    assert bus.counts("once")["active"] == 3


def test_expired_messages_are_dropped(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message whose time to live is over is delivered to nobody."""
    send(client, ServiceBusMessage("x", time_to_live=timedelta(seconds=30)), ServiceBusMessage("y"))

    bus.clock.advance(31)

    assert bus.counts(QUEUE) == {**NOTHING, "active": 1}


def test_expired_messages_are_dead_lettered_when_asked(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """With dead-lettering on expiry an expired message waits in the subqueue and says why; the
    queue's default time to live counts for messages that have none or a longer one."""
    bus.create_queue("brief", default_ttl_ms=30_000, dead_letter_on_expiry=True)
    send(
        client,
        ServiceBusMessage("x", time_to_live=timedelta(hours=1)),
        ServiceBusMessage("y"),
        queue="brief",
    )

    bus.clock.advance(31)
    with client.get_queue_receiver(
        "brief", sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as receiver:
        dead = receiver.receive_messages(2)
        for message in dead:
            receiver.complete_message(message)

    assert [str(message) for message in dead] == ["x", "y"]
    assert {message.dead_letter_reason for message in dead} == {"TTLExpiredException"}


def test_large_messages_pass_in_many_frames(client: ServiceBusClient) -> None:
    """A message of several frames arrives whole."""
    body = bytes(range(256)) * 800
    send(client, ServiceBusMessage(body))

    with client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        [got] = receiver.receive_messages()
        receiver.complete_message(got)

    assert b"".join(got.body) == body


def test_oversize_messages_are_refused(client: ServiceBusClient, bus: RunningBus) -> None:
    """A message above the queue's limit is refused with the size error; the sender stays usable."""
    with client.get_queue_sender(QUEUE) as sender:
        with pytest.raises(MessageSizeExceededError):
            sender.send_messages(ServiceBusMessage(b"x" * (300 << 10)))
        sender.send_messages(ServiceBusMessage("small"))

    assert bus.counts(QUEUE)["active"] == 1


def test_unknown_queues_are_not_found(client: ServiceBusClient) -> None:
    """Sending to or receiving from a queue that is not there says so at once."""
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_sender("nowhere"):
        pass
    with pytest.raises(MessagingEntityNotFoundError), client.get_queue_receiver("nowhere"):
        pass


def test_names_ignore_case(client: ServiceBusClient, bus: RunningBus) -> None:
    """A queue is found whatever the case of its name, as in the service."""
    send(client, ServiceBusMessage("x"), queue=QUEUE.upper())

    assert bus.counts(QUEUE)["active"] == 1


def test_a_disabled_queue_refuses(client: ServiceBusClient, bus: RunningBus) -> None:
    """A queue that is disabled for sending takes nothing and says why."""
    bus.create_queue("shut", status="SendDisabled")

    with pytest.raises(MessagingEntityDisabledError), client.get_queue_sender("shut"):
        pass


def test_a_session_receiver_on_a_plain_queue_is_refused(client: ServiceBusClient) -> None:
    """A queue without sessions refuses a session receiver."""
    with (
        pytest.raises(ServiceBusError),
        client.get_queue_receiver(QUEUE, session_id="s", max_wait_time=1),
    ):
        pass


def test_two_receivers_share_the_work(client: ServiceBusClient) -> None:
    """Competing receivers get different messages."""
    send(client, *(ServiceBusMessage(str(number)) for number in range(4)))

    with (
        client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as one,
        client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as two,
    ):
        got = [receiver.receive_messages()[0] for receiver in (one, two, one, two)]
        for receiver, message in zip((one, two, one, two), got, strict=True):
            receiver.complete_message(message)

    assert sorted(str(message) for message in got) == ["0", "1", "2", "3"]


@loses_connections
def test_a_message_is_settled_after_its_connection_was_lost(
    bus: RunningBus, client: ServiceBusClient
) -> None:
    """A lock outlives its connection: the message is settled over the next one."""
    send(client, ServiceBusMessage("x"))
    with (
        ServiceBusClient.from_connection_string(bus.connection_string) as patient,
        patient.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver,
    ):
        [got] = receiver.receive_messages()
        bus.drop_connections()
        receiver.complete_message(got)
    gc.collect()  # here, where the warning is expected

    assert bus.counts(QUEUE) == NOTHING


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
