"""`running_bus`: what others build their tests on."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localbus.broker.errors import EntityExists, EntityNotFound
from localbus.broker.properties import InvalidProperties
from localbus.testing import running_bus


def test_a_bus_over_the_same_folder_goes_on(tmp_path: Path) -> None:
    """Queues and messages of one run are there in the next, and in no other folder."""
    with running_bus(tmp_path, queues=["a"]) as bus:
        client = ServiceBusClient.from_connection_string(bus.connection_string)
        with client, client.get_queue_sender("a") as sender:
            sender.send_messages([ServiceBusMessage("x"), ServiceBusMessage("y")])

    with running_bus(tmp_path, queues=["a"]) as again, running_bus(queues=["a"]) as other:
        assert again.counts("a")["active"] == 2
        assert other.counts("a")["active"] == 0


def test_queues_are_made_and_removed_by_the_test(tmp_path: Path) -> None:
    """Creating twice, deleting what is not there and impossible settings raise in the test."""
    with running_bus(tmp_path) as bus:
        bus.create_queue("a", max_delivery_count=2)
        bus.ensure_queue("a")
        with pytest.raises(EntityExists):
            bus.create_queue("A")
        with pytest.raises(InvalidProperties):
            bus.create_queue("b", max_delivery_count=0)
        bus.delete_queue("a")
        with pytest.raises(EntityNotFound):
            bus.counts("a")


def test_time_only_goes_forward() -> None:
    """The clock cannot be turned back."""
    with running_bus() as bus, pytest.raises(ValueError, match="go back"):
        bus.clock.advance(-1)


def test_nothing_is_left_behind() -> None:
    """Without a folder the data is removed with the bus."""
    with running_bus(queues=["a"]) as bus:
        certificate = Path(bus.certificate)
        assert certificate.exists()

    assert not certificate.exists()
    assert not certificate.parent.exists()
