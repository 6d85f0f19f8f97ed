"""What a user of azure-servicebus (aio) can rely on, over real sockets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageSizeExceededError,
    MessagingEntityNotFoundError,
)

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE

WAIT = 5.0
NOTHING = {"active": 0, "deferred": 0, "scheduled": 0, "dead_letter": 0}


async def send(client: ServiceBusClient, *texts: str) -> None:
    async with client.get_queue_sender(QUEUE) as sender:
        await sender.send_messages([ServiceBusMessage(text) for text in texts])


async def test_every_settlement_does_what_it_says(
    aio_client: ServiceBusClient, bus: RunningBus
) -> None:
    """Complete, abandon, defer and dead-letter each leave the message where they promise."""
    await send(aio_client, "complete", "defer", "dead", "abandon")

    async with aio_client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        complete, defer, dead, abandon = [(await receiver.receive_messages())[0] for _ in range(4)]
        await receiver.complete_message(complete)
        await receiver.defer_message(defer)
        await receiver.dead_letter_message(dead, reason="r", error_description="d")
        await receiver.abandon_message(abandon)
        [again] = await receiver.receive_messages()
        assert (str(again), again.delivery_count) == ("abandon", 1)
        assert bus.counts(QUEUE) == {**NOTHING, "active": 1, "deferred": 1, "dead_letter": 1}
        assert defer.sequence_number is not None
        [deferred] = await receiver.receive_deferred_messages(defer.sequence_number)
        await receiver.complete_message(deferred)
        await receiver.complete_message(again)

    async with aio_client.get_queue_receiver(
        QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER, max_wait_time=WAIT
    ) as receiver:
        [got] = await receiver.receive_messages()
        await receiver.complete_message(got)
    assert (got.dead_letter_reason, got.dead_letter_error_description) == ("r", "d")
    assert bus.counts(QUEUE) == NOTHING


async def test_a_batch_is_received_and_settled_together(
    aio_client: ServiceBusClient, bus: RunningBus
) -> None:
    """A hundred messages are received in batches and completed concurrently."""
    await send(aio_client, *(str(number) for number in range(100)))

    got: list[str] = []
    async with aio_client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        while len(got) < 100:
            messages = await receiver.receive_messages(100)
            await asyncio.gather(*(receiver.complete_message(message) for message in messages))
            got += [str(message) for message in messages]

    assert got == [str(number) for number in range(100)]
    assert bus.counts(QUEUE) == NOTHING


async def test_a_receiver_that_waits_is_woken(aio_client: ServiceBusClient) -> None:
    """A message sent while a receiver waits is delivered without another request."""
    async with aio_client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        waiting = asyncio.create_task(receiver.receive_messages())
        await send(aio_client, "x")
        [got] = await waiting
        await receiver.complete_message(got)

    assert str(got) == "x"


async def test_receive_and_delete_by_iterating(
    aio_client: ServiceBusClient, bus: RunningBus
) -> None:
    """Iterating in receive-and-delete mode empties the queue."""
    await send(aio_client, "a", "b", "c")

    async with aio_client.get_queue_receiver(
        QUEUE, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE, max_wait_time=3
    ) as receiver:
        got = [str(message) async for message in receiver]

    assert got == ["a", "b", "c"]
    assert bus.counts(QUEUE) == NOTHING


async def test_locks_lapse_and_renew(aio_client: ServiceBusClient, bus: RunningBus) -> None:
    """A renewed lock settles; a lapsed one raises the lock-lost error."""
    await send(aio_client, "kept", "lost")

    async with aio_client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver:
        kept = (await receiver.receive_messages())[0]
        lost = (await receiver.receive_messages())[0]
        bus.clock.advance(45)
        await receiver.renew_message_lock(kept)
        bus.clock.advance(30)
        await receiver.complete_message(kept)
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(lost)


async def test_the_lock_renewer_keeps_a_lock(aio_client: ServiceBusClient, bus: RunningBus) -> None:
    """AutoLockRenewer of the SDK renews a lock before it ends."""
    bus.create_queue("brief", lock_duration_ms=10_000)
    async with (
        aio_client.get_queue_sender("brief") as sender,
        aio_client.get_queue_receiver("brief", max_wait_time=WAIT) as receiver,
        aio_client.get_queue_receiver("brief") as onlooker,
        AutoLockRenewer() as renewer,
    ):
        await sender.send_messages(ServiceBusMessage("x"))
        [got] = await receiver.receive_messages()
        first = got.locked_until_utc
        renewer.register(receiver, got, max_lock_renewal_duration=60)
        async with asyncio.timeout(20):
            while got.locked_until_utc == first:
                assert await onlooker.receive_messages(max_wait_time=0.2) == []
        bus.clock.advance(5)
        await receiver.complete_message(got)

    assert bus.counts("brief") == NOTHING


async def test_schedule_cancel_and_peek(aio_client: ServiceBusClient, bus: RunningBus) -> None:
    """Schedules are listed by peek, cancelled by number, and delivered when due."""
    due = datetime.now(UTC) + timedelta(minutes=5)
    async with (
        aio_client.get_queue_sender(QUEUE) as sender,
        aio_client.get_queue_receiver(QUEUE, max_wait_time=WAIT) as receiver,
    ):
        first, _ = await sender.schedule_messages(
            [ServiceBusMessage("cancelled"), ServiceBusMessage("kept")], due
        )
        assert len(await receiver.peek_messages(10)) == 2
        await sender.cancel_scheduled_messages(first)
        bus.clock.advance(301)
        [got] = await receiver.receive_messages()
        await receiver.complete_message(got)

    assert str(got) == "kept"
    assert bus.counts(QUEUE) == NOTHING


async def test_errors_have_the_sdks_types(aio_client: ServiceBusClient) -> None:
    """A missing queue and an oversize message raise what they raise against the service."""
    with pytest.raises(MessagingEntityNotFoundError):
        async with aio_client.get_queue_sender("nowhere"):
            pass
    async with aio_client.get_queue_sender(QUEUE) as sender:
        with pytest.raises(MessageSizeExceededError):
            await sender.send_messages(ServiceBusMessage(b"x" * (300 << 10)))


async def test_a_deleted_queue_detaches_its_clients(bus: RunningBus) -> None:
    """Deleting a queue tells the clients that use it that it is not found."""
    async with (
        ServiceBusClient.from_connection_string(bus.connection_string) as patient,
        patient.get_queue_sender(QUEUE) as sender,
    ):
        await sender.send_messages(ServiceBusMessage("x"))
        bus.delete_queue(QUEUE)
        with pytest.raises(MessagingEntityNotFoundError):
            await sender.send_messages(ServiceBusMessage("y"))
