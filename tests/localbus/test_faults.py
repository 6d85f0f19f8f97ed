"""Faults on purpose, as clients of azure-servicebus meet them, and the rules behind them."""

from __future__ import annotations

import gc
import threading

import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
)
from azure.servicebus.exceptions import (
    MessageLockLostError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusServerBusyError,
)
from hypothesis import given
from hypothesis import strategies as st

from localbus.faults import POSSIBLE, Fault, Faults, InvalidRule, Moment, Rule, entity_of
from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE, loses_connections


def send(client: ServiceBusClient, *bodies: str) -> None:
    with client.get_queue_sender(QUEUE) as sender:
        for body in bodies:
            sender.send_messages(ServiceBusMessage(body))


def take(receiver: ServiceBusReceiver) -> ServiceBusReceivedMessage:
    [message] = receiver.receive_messages(max_wait_time=5)
    return message


def test_a_throttled_send_says_server_busy(client: ServiceBusClient, bus: RunningBus) -> None:
    """Throttling raises what the service's raises, keeps nothing, and ends after its times."""
    rule = bus.fault("send", "throttle", entity=QUEUE, times=2)

    with client.get_queue_sender(QUEUE) as sender:
        for _ in range(2):
            with pytest.raises(ServiceBusServerBusyError):
                sender.send_messages(ServiceBusMessage("x"))
        sender.send_messages(ServiceBusMessage("x"))

    assert bus.struck(rule) == 2
    assert bus.counts(QUEUE)["active"] == 1


def test_a_patient_client_sends_through_throttling(bus: RunningBus) -> None:
    """The SDK's own retries carry a send over a throttle that passes."""
    bus.fault("send", "throttle", times=1)
    patient = ServiceBusClient.from_connection_string(
        bus.connection_string, retry_total=2, retry_backoff_factor=0.01
    )

    with patient:
        send(patient, "x")

    assert bus.counts(QUEUE)["active"] == 1


def test_management_is_throttled(client: ServiceBusClient, bus: RunningBus) -> None:
    """A throttled management request raises the same, and the next one is served."""
    bus.fault("request", "throttle")
    with client.get_queue_receiver(QUEUE) as receiver:
        with pytest.raises(ServiceBusServerBusyError):
            receiver.peek_messages()
        assert receiver.peek_messages() == []


def test_a_lock_is_lost_before_its_time(client: ServiceBusClient, bus: RunningBus) -> None:
    """The settlement is refused as lock lost, and the message is delivered again, counted."""
    send(client, "x")
    bus.fault("settle", "lose-lock", entity=QUEUE)

    with client.get_queue_receiver(QUEUE) as receiver:
        with pytest.raises(MessageLockLostError):
            receiver.complete_message(take(receiver))
        again = take(receiver)
        receiver.complete_message(again)

    assert again.delivery_count == 1
    assert bus.counts(QUEUE)["active"] == 0


def test_a_settlement_can_be_throttled(client: ServiceBusClient, bus: RunningBus) -> None:
    """A throttled settlement is refused and changes nothing: the lock still holds."""
    send(client, "x")
    bus.fault("settle", "throttle")

    with client.get_queue_receiver(QUEUE) as receiver:
        message = take(receiver)
        with pytest.raises(ServiceBusError):
            receiver.complete_message(message)
        assert bus.counts(QUEUE)["active"] == 1


def test_a_message_is_delivered_twice(client: ServiceBusClient, bus: RunningBus) -> None:
    """What was completed comes once more under the same number and id, and then no more."""
    send(client, "x")
    rule = bus.fault("deliver", "deliver-twice", times=None)

    with client.get_queue_receiver(QUEUE) as receiver:
        first = take(receiver)
        receiver.complete_message(first)
        second = take(receiver)
        receiver.complete_message(second)

    assert first.sequence_number == second.sequence_number
    assert first.message_id == second.message_id
    assert (first.delivery_count, second.delivery_count) == (0, 1)
    assert bus.counts(QUEUE)["active"] == 0
    assert bus.struck(rule) == 2


def test_a_message_of_a_session_is_delivered_twice(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """Within a session what was completed comes once more, to the holder of that session, and no
    other session notices."""
    bus.create_queue("talks", requires_session=True)
    with client.get_queue_sender("talks") as sender:
        for name in ("a", "b", "a"):
            sender.send_messages(ServiceBusMessage(name, session_id=name))
    rule = bus.fault("deliver", "deliver-twice", entity="talks")

    taken: dict[str, list[tuple[int | None, int | None]]] = {}
    for name in ("a", "b"):
        with client.get_queue_receiver("talks", session_id=name) as receiver:
            taken[name] = []
            while bus.counts("talks")["active"] > (name == "a"):
                message = take(receiver)
                receiver.complete_message(message)
                taken[name].append((message.sequence_number, message.delivery_count))

    assert taken == {"a": [(1, 0), (3, 0), (1, 1)], "b": [(2, 0)]}
    assert bus.struck(rule) == 1


def test_a_delayed_reply_comes_when_the_clock_says(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """A delayed settlement is done at once; the client waits until the clock is moved."""
    send(client, "x")
    bus.fault("settle", "delay-reply", delay_s=600)
    replied: list[bool] = []

    with client.get_queue_receiver(QUEUE) as receiver:
        message = take(receiver)

        def complete() -> None:
            receiver.complete_message(message)
            replied.append(True)

        thread = threading.Thread(target=complete)
        thread.start()
        while bus.counts(QUEUE)["active"]:
            pass
        waited = not replied
        bus.clock.advance(601)
        thread.join(20)

    assert waited
    assert replied == [True]


@loses_connections
def test_a_dropped_reply_leaves_the_sender_in_doubt(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """A send whose confirmation never comes fails after its timeout, and the message is there."""
    bus.fault("send", "drop-reply")

    with client.get_queue_sender(QUEUE) as sender, pytest.raises(ServiceBusError):
        sender.send_messages(ServiceBusMessage("x"), timeout=1)
    gc.collect()

    assert bus.counts(QUEUE)["active"] == 1


@loses_connections
@pytest.mark.parametrize(
    ("fault", "kept"), [("drop-connection", 0), ("drop-connection-after", 1), ("detach-link", 0)]
)
def test_a_send_is_cut_off(
    client: ServiceBusClient, bus: RunningBus, fault: str, kept: int
) -> None:
    """A connection or link that ends under a send raises; whether it was taken is the fault's."""
    rule = bus.fault("send", fault)

    with client.get_queue_sender(QUEUE) as sender, pytest.raises(ServiceBusError):
        sender.send_messages(ServiceBusMessage("x"), timeout=5)
    gc.collect()

    assert bus.struck(rule) == 1
    assert bus.counts(QUEUE)["active"] == kept


@loses_connections
@pytest.mark.parametrize(("fault", "kept"), [("drop-connection", 1), ("drop-connection-after", 0)])
def test_a_settlement_is_cut_off(
    client: ServiceBusClient, bus: RunningBus, fault: str, kept: int
) -> None:
    """A settlement cut off after it was done is done; one cut off before leaves the message."""
    send(client, "x")
    bus.fault("settle", fault)

    with client.get_queue_receiver(QUEUE) as receiver:
        message = take(receiver)
        with pytest.raises(ServiceBusError):
            receiver.complete_message(message)
    gc.collect()

    assert bus.counts(QUEUE)["active"] == kept


def test_a_closed_link_does_not_stop_a_settlement(
    client: ServiceBusClient, bus: RunningBus
) -> None:
    """When the link closes under a settlement, the SDK settles through management instead."""
    send(client, "x")
    rule = bus.fault("settle", "detach-link")

    with client.get_queue_receiver(QUEUE) as receiver:
        receiver.complete_message(take(receiver))

    assert bus.struck(rule) == 1
    assert bus.counts(QUEUE)["active"] == 0


@loses_connections
def test_a_receiver_loses_its_connection(client: ServiceBusClient, bus: RunningBus) -> None:
    """A receiver whose connection is cut under a delivery raises, and gets it again once its lock
    is over."""
    send(client, "x")
    bus.fault("deliver", "drop-connection-after")

    with client.get_queue_receiver(QUEUE) as receiver:
        with pytest.raises(ServiceBusError):
            receiver.receive_messages(max_wait_time=5)
        bus.clock.advance(61)
        message = take(receiver)
        receiver.complete_message(message)
    gc.collect()

    assert message.delivery_count == 1


@loses_connections
def test_the_bus_refuses_for_a_while(client: ServiceBusClient, bus: RunningBus) -> None:
    """While it refuses no connection is made; once its time is over clients come in."""
    bus.fault("connect", "refuse", times=None, lasting_s=60)

    with pytest.raises(ServiceBusError):
        send(client, "x")
    bus.clock.advance(61)
    send(client, "y")
    gc.collect()

    assert bus.counts(QUEUE)["active"] == 1


@loses_connections
@pytest.mark.parametrize("fault", ["refuse", "throttle", "drop-connection"])
def test_a_link_is_refused(client: ServiceBusClient, bus: RunningBus, fault: str) -> None:
    """A sender that is refused at opening raises; the next one opens."""
    bus.fault("attach", fault, entity=QUEUE)

    with pytest.raises(ServiceBusError):
        send(client, "x")
    send(client, "y")
    gc.collect()

    assert bus.counts(QUEUE)["active"] == 1


@loses_connections
def test_faults_are_lifted(client: ServiceBusClient, bus: RunningBus) -> None:
    """After `heal` nothing goes wrong any more."""
    bus.fault("connect", "refuse", times=None)
    with pytest.raises(ServiceBusConnectionError):
        send(client, "x")

    bus.heal()
    send(client, "x")
    gc.collect()

    assert bus.counts(QUEUE)["active"] == 1


# -- the rules -------------------------------------------------------------------------------------


@given(st.integers(), st.floats(0, 1), st.lists(st.sampled_from(["a", "b"]), max_size=50))
def test_the_same_seed_gives_the_same_faults(seed: int, chance: float, moments: list[str]) -> None:
    """Chance is drawn from the seed alone: two runs of the same moments are alike."""
    rule = Rule(
        moment=Moment.SEND, fault=Fault.THROTTLE, times=None, chance=chance, entity="a", skip=1
    )

    def run() -> list[bool]:
        faults = Faults(seed)
        faults.add(rule, 0)
        return [faults.strike(Moment.SEND, name, 0) is not None for name in moments]

    assert run() == run()


def test_a_rule_counts_skips_and_ends() -> None:
    """`skip` lets moments pass, `times` ends a rule, and so does `lasting_s`."""
    faults = Faults()
    counted = faults.add(Rule(moment=Moment.SEND, fault=Fault.THROTTLE, skip=1, times=2), 0)
    brief = faults.add(
        Rule(moment=Moment.SETTLE, fault=Fault.LOSE_LOCK, times=None, lasting_s=1), 5_000
    )

    struck = [faults.strike(Moment.SEND, "q", 0) is not None for _ in range(5)]

    assert struck == [False, True, True, False, False]
    assert faults.strike(Moment.SETTLE, "q", 5_999) is not None
    assert faults.strike(Moment.SETTLE, "q", 6_000) is None
    assert (faults.struck(counted), faults.struck(brief)) == (2, 1)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"moment": "send"},
        {"moment": "send", "fault": "lose-lock"},
        {"moment": "connect", "fault": "refuse", "entity": "q"},
        {"moment": "send", "fault": "throttle", "times": 0},
        {"moment": "send", "fault": "throttle", "times": "often"},
        {"moment": "send", "fault": "throttle", "chance": 2},
        {"moment": "send", "fault": "throttle", "chance": True},
        {"moment": "send", "fault": "delay-reply", "delay_s": -1},
        {"moment": "send", "fault": "throttle", "color": "red"},
        {"moment": "lunch", "fault": "throttle"},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    """A rule that cannot strike, or says what no rule says, is refused with words."""
    with pytest.raises(InvalidRule, match=r"\w"):
        Rule.from_dict(values)


def test_every_fault_has_its_moment() -> None:
    """There is no fault that can never strike, and no moment without one."""
    assert set(POSSIBLE) == set(Moment)
    assert set().union(*POSSIBLE.values()) == set(Fault)


@pytest.mark.parametrize(
    ("path", "entity"),
    [
        ("Orders", "orders"),
        ("amqps://127.0.0.1:5672/Orders/$management", "orders"),
        ("orders/$DeadLetterQueue", "orders/$deadletterqueue"),
        ("t/Subscriptions/S", "t/subscriptions/s"),
    ],
)
def test_rules_name_entities_as_users_do(path: str, entity: str) -> None:
    """An entity is named by its path, whatever authority or suffix the link had."""
    assert entity_of(path) == entity
