"""Queues from a file, in both shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localbus.broker.properties import QueueProperties
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
        {"UserConfig": {"Namespaces": [{"Topics": [{"Name": "t"}]}]}},
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
