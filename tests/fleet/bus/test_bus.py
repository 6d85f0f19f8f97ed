"""What the fleet relies on of its bus, through the real SDK."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.envelope import MalformedEnvelope, WireMessage
from fleet.bus.bus import Bus
from fleet.bus.claim_check import INLINE_LIMIT
from fleet.bus.errors import SettleFailed
from fleet.bus.message import Outgoing
from fleet.bus.receiver import Delivery, Room
from localbus.testing import RunningBus

PATIENCE = 20.0
NOT_STORED: dict[str, str | int | bool] = {
    "cloudEvents:dataref": f"artifact:evidence/aa/{'a' * 64}",
    "cloudEvents:leafdatasize": 10,
    "cloudEvents:leaftenant": "acme",
}


def a_message(number: int = 1, body: bytes = b"{}", **properties: str | int | bool) -> Outgoing:
    return Outgoing(message=WireMessage(message_id=f"m{number}", properties=properties, body=body))


@asynccontextmanager
async def receiving(
    bus: Bus, queue: str = "lane-a", places: int = 10
) -> AsyncIterator[tuple[AsyncIterator[Delivery], Room]]:
    """Deliveries while the block runs; then the receiver is stopped as a worker stops it."""
    stop, room = asyncio.Event(), Room(places)
    arriving: asyncio.Queue[Delivery] = asyncio.Queue()

    async def pump() -> None:
        async for delivery in bus.deliveries(queue, room, stop):
            arriving.put_nowait(delivery)

    async def each() -> AsyncGenerator[Delivery, None]:
        while True:
            yield await asyncio.wait_for(arriving.get(), PATIENCE)
            room.give_back()

    pumping = asyncio.create_task(pump())
    given = each()
    try:
        yield given, room
    finally:
        stop.set()
        await given.aclose()
        room.give_back(places)
        await asyncio.wait_for(pumping, PATIENCE)


async def test_what_is_published_is_delivered_whole(bus: Bus) -> None:
    """Body, ids and properties come back as they were sent, types included."""
    sent = a_message(body=b'{"x": 1}', name="ä", count=7, yes=True)

    await bus.publish("lane-a", [sent])

    async with receiving(bus) as (deliveries, _):
        delivery = await anext(deliveries)
        await delivery.complete()
    assert delivery.message.body == sent.message.body
    assert delivery.message.message_id == "m1"
    assert delivery.message.properties == {"name": "ä", "count": 7, "yes": True}


async def test_many_are_published_in_batches_and_none_is_lost(bus: Bus, broker: RunningBus) -> None:
    """More than one batch holds, from many callers at once."""
    body = b"x" * 30_000

    async with asyncio.TaskGroup() as group:
        for caller in range(10):
            numbers = range(caller * 10, caller * 10 + 10)
            group.create_task(bus.publish("lane-a", [a_message(n, body) for n in numbers]))

    assert broker.counts("lane-a")["active"] == 100


async def test_an_abandoned_delivery_comes_back_counted(bus: Bus) -> None:
    """The broker's count rises; the message is the same."""
    await bus.publish("lane-a", [a_message()])

    async with receiving(bus) as (deliveries, _):
        first = await anext(deliveries)
        await first.abandon()
        again = await anext(deliveries)
        await again.complete()

    assert (again.message, again.count) == (first.message, first.count + 1)


async def test_a_lapsed_lock_brings_the_message_back(bus: Bus, broker: RunningBus) -> None:
    """And what held it can no longer settle it."""
    await bus.publish("lane-a", [a_message()])

    async with receiving(bus) as (deliveries, _):
        first = await anext(deliveries)
        await asyncio.to_thread(broker.clock.advance, 120)
        again = await anext(deliveries)
        with pytest.raises(SettleFailed):
            await first.complete()
        await again.complete()

    assert again.count == first.count + 1


async def test_a_dead_letter_carries_its_reason(bus: Bus, broker: RunningBus) -> None:
    """It leaves the queue for the dead-letter queue."""
    await bus.publish("lane-a", [a_message()])

    async with receiving(bus) as (deliveries, _):
        delivery = await anext(deliveries)
        await delivery.dead_letter("malformed", "no envelope")

    counts = broker.counts("lane-a")
    assert (counts["active"], counts["dead_letter"]) == (0, 1)


async def test_a_message_for_later_waits(bus: Bus, broker: RunningBus) -> None:
    """It is scheduled, not delivered, until its time has come."""
    later = datetime.now(UTC) + timedelta(hours=1)

    await bus.publish("lane-a", [replace(a_message(), not_before=later)])

    assert broker.counts("lane-a")["scheduled"] == 1
    await asyncio.to_thread(broker.clock.advance, 3700)
    async with receiving(bus) as (deliveries, _):
        await (await anext(deliveries)).complete()


async def test_settling_works_while_the_receiver_waits_for_more(bus: Bus) -> None:
    """A lane settles one delivery while it listens for the next on the same connection."""
    await bus.publish("lane-a", [a_message(1)])

    async with receiving(bus) as (deliveries, _):
        first = await anext(deliveries)
        waiting = asyncio.ensure_future(anext(deliveries))
        await asyncio.wait_for(first.complete(), PATIENCE)
        await bus.publish("lane-a", [a_message(2)])
        second = await asyncio.wait_for(waiting, PATIENCE)
        await second.complete()

    assert second.message.message_id == "m2"


async def test_a_large_body_travels_as_a_claim_check(bus: Bus) -> None:
    """The message stays small and the reader gets the bytes back, proven by digest."""
    large = b"[" + b"1," * INLINE_LIMIT + b"1]"
    tenant: dict[str, str | int | bool] = {"cloudEvents:leaftenant": "acme"}

    await bus.publish("lane-a", [a_message(1, large, **tenant)])

    async with receiving(bus) as (deliveries, _):
        delivery = await anext(deliveries)
        await delivery.complete()
    assert delivery.message.body == b""
    assert (await bus.whole(delivery.message)).body == large


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (a_message(1, b"x" * (INLINE_LIMIT + 1)), "put it into the artifact store"),
        (a_message(1, b"", **{"cloudEvents:dataref": "file:///etc/passwd"}), "does not name"),
        (a_message(1, b"", **NOT_STORED), "does not hold it"),
    ],
)
async def test_a_body_that_cannot_be_had_is_refused(
    bus: Bus, message: Outgoing, reason: str
) -> None:
    """Too large for the wire, naming a file, or naming an artifact that nobody stored."""
    with pytest.raises(MalformedEnvelope, match=reason):
        await bus.whole(message.message)


async def test_no_more_is_received_than_there_is_room_for(bus: Bus, broker: RunningBus) -> None:
    """What a lane cannot work on stays on the queue for other workers."""
    await bus.publish("lane-a", [a_message(n) for n in range(5)])
    stop, room = asyncio.Event(), Room(2)
    taken = bus.deliveries("lane-a", room, stop)

    first, second = await anext(taken), await anext(taken)

    third = asyncio.ensure_future(anext(taken))
    await first.complete()
    await second.complete()
    assert not third.done()
    assert broker.counts("lane-a")["active"] == 3
    room.give_back(2)
    await (await asyncio.wait_for(third, PATIENCE)).complete()
    stop.set()
    room.give_back()
    assert await anext(taken, None) is None


async def test_a_full_queue_gets_a_second_receiver(bus: Bus) -> None:
    """Once the first one has found more than it could take, and not before."""
    await bus.publish("lane-a", [a_message(n) for n in range(60)])
    stop, room, seen = asyncio.Event(), Room(100), set[str]()
    first = bus.deliveries("lane-a", room, stop)
    waiting = asyncio.ensure_future(anext(bus.deliveries("lane-a", room, stop, second=True)))
    async with asyncio.timeout(PATIENCE):
        while not room.full.is_set():
            assert not waiting.done()
            delivery = await anext(first)
            seen.add(delivery.message.message_id)
            await delivery.complete()
            room.give_back()
            # However slow the machine is: the queue has more until the receiver has seen it.
            await bus.publish("lane-a", [a_message(60 + len(seen))])

        by_second = await waiting

    assert by_second.message.message_id not in seen
    stop.set()
    await by_second.complete()
