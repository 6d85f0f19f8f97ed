"""Queues from a file, in both shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localbus.broker.properties import QueueProperties
from localbus.broker.rules import Action, CorrelationFilter
from localbus.testing import running_bus
from localbus.topology import InvalidTopology, parse_duration, parse_topology, read_topology

EMULATOR = {
    "UserConfig": {
        "Namespaces": [
            {
                "Name": "sbemulatorns",
                "Queues": [
                    {
                        "Name": "queue.1",
                        "Properties": {
                            "DeadLetteringOnMessageExpiration": True,
                            "DefaultMessageTimeToLive": "PT1H",
                            "DuplicateDetectionHistoryTimeWindow": "PT20S",
                            "ForwardDeadLetteredMessagesTo": "",
                            "ForwardTo": "",
                            "LockDuration": "PT1M30S",
                            "MaxDeliveryCount": 3,
                            "RequiresDuplicateDetection": True,
                            "RequiresSession": False,
                        },
                    }
                ],
                "Topics": [],
            }
        ],
        "Logging": {"Type": "File"},
    }
}


def test_the_emulators_config_is_read() -> None:
    """The official emulator's Config.json gives the queues it means."""
    topology = parse_topology(EMULATOR)

    assert topology.queues == {
        "queue.1": QueueProperties(
            dead_letter_on_expiry=True,
            default_ttl_ms=3_600_000,
            duplicate_window_ms=20_000,
            lock_duration_ms=90_000,
            max_delivery_count=3,
            detect_duplicates=True,
        )
    }


def test_the_emulators_topics_are_read(tmp_path: Path) -> None:
    """Topics of Config.json come with their subscriptions, rules and actions."""
    rules = [
        {
            "Name": "by-label",
            "Properties": {
                "FilterType": "Correlation",
                "CorrelationFilter": {"Label": "a", "ContentType": "b", "Properties": {"p": "v"}},
            },
        },
        {
            "Name": "by-sql",
            "Properties": {
                "FilterType": "Sql",
                "SqlFilter": {"SqlExpression": "sys.MessageId = '123' AND p LIKE 'v%'"},
                "Action": {"SqlExpression": "SET sys.To = 'there'"},
            },
        },
    ]
    subscriptions: list[Any] = [
        {"Name": "s.1", "Properties": {"ForwardTo": "queue.1"}, "Rules": rules},
        {"Name": "s.2"},
    ]
    topics = [{"Name": "topic.1", "Properties": {}, "Subscriptions": subscriptions}]
    document = {"UserConfig": {"Namespaces": [{"Queues": [{"Name": "queue.1"}], "Topics": topics}]}}

    topology = parse_topology(document)
    with running_bus(tmp_path, topology=topology) as bus:
        assert bus.counts("topic.1/Subscriptions/s.2")["active"] == 0

    found = topology.topics["topic.1"].subscriptions
    assert found["s.1"].properties.forward_to == "queue.1"
    assert found["s.1"].rules["by-label"].filter == CorrelationFilter(
        label="a", content_type="b", properties={"p": "v"}
    )
    assert found["s.1"].rules["by-sql"].action == Action(expression="SET sys.To = 'there'")
    assert found["s.2"].rules == {}


def test_a_client_uses_what_config_json_says(tmp_path: Path) -> None:
    """A bus over the emulator's file, as `--topology` reads it, filters and forwards by it."""
    rule = {
        "Name": "urgent",
        "Properties": {"FilterType": "Correlation", "CorrelationFilter": {"Label": "urgent"}},
    }
    subscription = {
        "Name": "s.1",
        "Properties": {
            "DeadLetteringOnMessageExpiration": False,
            "DefaultMessageTimeToLive": "PT1H",
            "ForwardTo": "queue.1",
            "LockDuration": "PT1M",
            "MaxDeliveryCount": 3,
            "RequiresSession": False,
        },
        "Rules": [rule],
    }
    document: Any = json.loads(json.dumps(EMULATOR))
    document["UserConfig"]["Namespaces"][0]["Topics"] = [
        {
            "Name": "topic.1",
            "Properties": {"DefaultMessageTimeToLive": "PT1H", "RequiresDuplicateDetection": False},
            "Subscriptions": [subscription],
        }
    ]
    path = tmp_path / "Config.json"
    path.write_text(json.dumps(document))

    with (
        running_bus(tmp_path, topology=read_topology(path)) as bus,
        ServiceBusClient.from_connection_string(bus.connection_string) as client,
    ):
        with client.get_topic_sender("topic.1") as sender:
            sender.send_messages(ServiceBusMessage("later", subject="slow"))
            sender.send_messages(ServiceBusMessage("now", subject="urgent"))
        with client.get_queue_receiver("queue.1") as receiver:
            [message] = receiver.receive_messages(max_wait_time=10)
            receiver.complete_message(message)
        left = bus.counts("queue.1")["active"]

    assert (str(message), left) == ("now", 0)


def test_a_topology_forwards_in_any_order(tmp_path: Path) -> None:
    """An entity may forward to one that stands later in the file, twice over the same folder."""
    document = {
        "queues": {"a": {"forward_to": "b"}, "b": {"forward_to": "t"}},
        "topics": {
            "t": {
                "subscriptions": {
                    "s": {"max_delivery_count": 2, "rules": {"r": {"sql": "n > 1"}}},
                    "c": {"rules": {"r": {"correlation": {"label": "x"}, "action": "SET m = 1"}}},
                }
            }
        },
    }
    for _ in range(2):
        with running_bus(tmp_path, topology=parse_topology(document)) as bus:
            assert bus.counts("T/Subscriptions/S")["active"] == 0


def test_a_running_bus_has_the_queues_of_the_file(tmp_path: Path) -> None:
    """Queues of a topology are there from the start, and keep their messages across a restart."""
    path = tmp_path / "topology.json"
    path.write_text(json.dumps({"queues": {"a": {"max_delivery_count": 2}, "b": {}}}))

    for _ in range(2):
        with running_bus(tmp_path, topology=read_topology(path)) as bus:
            assert bus.counts("a")["active"] == 0
            assert bus.counts("b")["active"] == 0


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"queues": []},
        {"queues": {"a": {"colour": "red"}}},
        {"queues": {"a": {"lock_duration_ms": 0}}},
        {"UserConfig": {"Namespaces": [{"Topics": [{"Subscriptions": []}]}]}},
        {"topics": {"t": {"subscriptions": []}}},
        {"topics": {"t": {"subscriptions": {"s": {"rules": {"r": {"sql": "a ="}}}}}}},
        {"topics": {"t": {"subscriptions": {"s": {"rules": {"r": {}}}}}}},
        {"UserConfig": {"Namespaces": [{"Queues": [{}]}]}},
        {"UserConfig": {"Namespaces": [{"Queues": [{"Name": "a", "Properties": {"X": 1}}]}]}},
    ],
)
def test_what_is_no_topology_is_refused(document: Any) -> None:
    """A file that means something localbus cannot do is refused, not half obeyed."""
    with pytest.raises(InvalidTopology):
        parse_topology(document)


@pytest.mark.parametrize(
    ("text", "ms"),
    [("PT1M30S", 90_000), ("P14D", 1_209_600_000), ("PT0.5S", 500), ("P1DT2H", 93_600_000)],
)
def test_durations_are_read(text: str, ms: int) -> None:
    """ISO 8601 durations of days and smaller are read exactly."""
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "P", "PT", "1M", "P1Y", "-PT1S", "PT1"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidTopology):
        parse_duration(text)
