"""A receiver that lost its bus is opened again: a lane never goes deaf for good."""

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import Bus, open_bus
from localbus.testing import RunningBus, running_bus
from tests.fleet.bus.test_bus import PATIENCE, a_message, receiving

# The SDK drops a socket that the other side has cut without closing it; the collector closes it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What the SDK left open is closed within the test that left it."""
    yield
    gc.collect()


async def test_a_cut_connection_is_opened_again(bus: Bus, broker: RunningBus) -> None:
    """As after an idle detach or a failing network; what was published meanwhile arrives."""
    async with receiving(bus) as (deliveries, _):
        await bus.publish("lane-a", [a_message(1)])
        await (await anext(deliveries)).complete()

        await asyncio.to_thread(broker.drop_connections)
        await bus.publish("lane-a", [a_message(2)])
        second = await anext(deliveries)
        await second.complete()

    assert second.message.message_id == "m2"


async def test_a_receiver_that_the_service_detaches_is_opened_again(
    bus: Bus, broker: RunningBus
) -> None:
    """It waits on an empty queue and its link is closed (`amqp:link:detach-forced`), twice over;
    what is published afterwards arrives."""
    async with receiving(bus) as (deliveries, _):
        arrived = []
        for number in (1, 2):
            async with asyncio.timeout(PATIENCE):
                while not await asyncio.to_thread(broker.detach_receivers):
                    pass  # it is not open yet
            await bus.publish("lane-a", [a_message(number)])
            delivery = await anext(deliveries)
            await delivery.complete()
            arrived.append(delivery.message.message_id)

    assert arrived == ["m1", "m2"]


async def test_a_receiver_that_the_sdk_gives_up_is_opened_again(
    bus: Bus, broker: RunningBus
) -> None:
    """Detached, and refused more often than the SDK tries: it is opened anew for as long as it
    takes, and what was published afterwards arrives."""
    async with receiving(bus) as (deliveries, _):
        await bus.publish("lane-a", [a_message(1)])
        await (await anext(deliveries)).complete()

        rule = broker.fault("attach", "refuse", entity="lane-a", times=4)
        await asyncio.to_thread(broker.detach_receivers)
        async with asyncio.timeout(3 * PATIENCE):
            while await asyncio.to_thread(broker.struck, rule) < 4:
                pass
        await bus.publish("lane-a", [a_message(2)])
        second = await anext(deliveries)
        await second.complete()

    assert second.message.message_id == "m2"


async def test_a_restarted_bus_is_found_again(tmp_path: Path, store: FolderStore) -> None:
    """Same address, same data, after it was away: the receiver that was open receives."""
    first = contextlib.ExitStack()
    broker = first.enter_context(running_bus(tmp_path / "bus", queues=["lane-a"]))
    port = broker.amqp_port
    async with (
        open_bus(broker.connection_string, store) as bus,
        receiving(bus) as (deliveries, _),
    ):
        await bus.publish("lane-a", [a_message(1)])
        await (await anext(deliveries)).complete()
        await asyncio.to_thread(first.close)
        with running_bus(tmp_path / "bus", queues=["lane-a"], port=port):
            await bus.publish("lane-a", [a_message(2)])
            second = await anext(deliveries)
            await second.complete()

    assert second.message.message_id == "m2"
