"""Receiving several at a time: nothing waits for what is not there, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.servicebus import ServiceBusReceivedMessage

from fleet.bus.address import messaging_client
from fleet.bus.bus import Bus
from fleet.bus.turns import Turns
from localbus.testing import RunningBus
from tests.fleet.bus.test_bus import PATIENCE, a_message


@pytest.fixture
async def turns(broker: RunningBus) -> AsyncIterator[Turns]:
    async with (
        messaging_client(broker.connection_string) as client,
        client.get_queue_receiver("lane-a", prefetch_count=0) as receiver,
    ):
        yield Turns(receiver)


async def test_several_are_asked_for_and_none_is_there(turns: Turns) -> None:
    """The SDK would wait for half a minute; the call is over long before."""
    async with asyncio.timeout(PATIENCE):
        assert await turns.receive_several(50) == []


async def test_several_are_asked_for_and_fewer_are_there(bus: Bus, turns: Turns) -> None:
    """Again and again while messages trickle in and others are settled: each is handed over, and
    settled, once and uncounted."""
    settled: list[str | None] = []

    async def settle(received: ServiceBusReceivedMessage) -> None:
        await turns.settle(lambda receiver: receiver.complete_message(received))
        settled.append(received.message_id)
        assert not received.delivery_count

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for number in range(40):
            group.create_task(bus.publish("lane-a", [a_message(number)]))
        while len(settled) < 40:
            for received in await turns.receive_several(50):
                group.create_task(settle(received))

    assert sorted(settled, key=str) == sorted(f"m{number}" for number in range(40))


async def test_a_settlement_that_is_given_up_holds_nobody_up(bus: Bus, turns: Turns) -> None:
    """Before its turn, in it, or while its turn is being called: the others are settled."""
    await bus.publish("lane-a", [a_message(number) for number in range(8)])
    received = await _all_of(turns, 8)

    async def settle(one: ServiceBusReceivedMessage) -> None:
        await turns.settle(lambda receiver: receiver.complete_message(one))

    async with asyncio.timeout(PATIENCE):
        for turns_of_the_loop in range(4):
            given_up = asyncio.create_task(settle(received.pop()))
            others = asyncio.create_task(settle(received.pop()))
            for _ in range(turns_of_the_loop):
                await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.wait({given_up})
            await others
        assert await turns.receive_several(5) == []


async def _all_of(turns: Turns, many: int) -> list[ServiceBusReceivedMessage]:
    found: list[ServiceBusReceivedMessage] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < many:
            found += await turns.receive_several(many - len(found))
    return found
