"""A bus for each test, and clients of azure-servicebus as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import ServiceBusAdministrationClient

from localbus.testing import RunningBus, running_bus
from tests.localbus.conformance.remote import is_remote, remote_bus

QUEUE = "orders"

_Test = TypeVar("_Test", bound=Callable[..., object])


def loses_connections(test: _Test) -> _Test:
    """Mark a test in which a connection ends under the client.

    azure-servicebus leaves its socket to the garbage collector then, which warns; the test calls
    `gc.collect()` last, so that the warning comes where it is expected.
    """
    for words in (
        "ignore:.*unclosed.*:ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ):
        test = pytest.mark.filterwarnings(words)(test)
    return test


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RunningBus]:
    if is_remote():
        with remote_bus([QUEUE]) as remote:
            yield remote
        return
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
        bus.admin_connection_string, connection_verify=bus.certificate or True
    ) as made:
        yield made
