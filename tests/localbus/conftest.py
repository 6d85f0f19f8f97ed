"""A bus for each test, and clients of azure-servicebus as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import ServiceBusAdministrationClient

from localbus.testing import RunningBus, running_bus

QUEUE = "orders"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path, queues=[QUEUE]) as running:
        yield running


@pytest.fixture
def client(bus: RunningBus) -> Iterator[ServiceBusClient]:
    with ServiceBusClient.from_connection_string(bus.connection_string, retry_total=0) as made:
        yield made


@pytest.fixture
async def aio_client(bus: RunningBus) -> AsyncIterator[AsyncServiceBusClient]:
    async with AsyncServiceBusClient.from_connection_string(
        bus.connection_string, retry_total=0
    ) as made:
        yield made


@pytest.fixture
def admin(bus: RunningBus) -> Iterator[ServiceBusAdministrationClient]:
    with ServiceBusAdministrationClient.from_connection_string(
        bus.admin_connection_string, connection_verify=bus.certificate
    ) as made:
        yield made
