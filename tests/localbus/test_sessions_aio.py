"""Sessions and topics with azure-servicebus' aio client, where it goes other ways than the sync."""

from __future__ import annotations

import asyncio

import pytest
from azure.servicebus import NEXT_AVAILABLE_SESSION, ServiceBusMessage
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient
from azure.servicebus.exceptions import (
    OperationTimeoutError,
    SessionCannotBeLockedError,
    SessionLockLostError,
)

from localbus.testing import RunningBus

WAIT = 5.0
SESSIONS = "talks"


@pytest.fixture(autouse=True)
def sessions(bus: RunningBus) -> None:
    bus.create_queue(SESSIONS, requires_session=True)


async def send(client: ServiceBusClient, *bodies: str) -> None:
    """Send "session:text" each."""
    async with client.get_queue_sender(SESSIONS) as sender:
        for body in bodies:
            await sender.send_messages(ServiceBusMessage(body, session_id=body.partition(":")[0]))


async def test_workers_share_out_the_sessions(aio_client: ServiceBusClient) -> None:
    """Concurrent workers that take the next session each until none is left see every message
    once, those of a session in order."""
    await send(aio_client, *(f"{name}:{number}" for number in range(3) for name in "abcd"))
    seen: dict[str, list[str]] = {}

    async def work() -> None:
        while True:
            try:
                async with aio_client.get_queue_receiver(
                    SESSIONS, session_id=NEXT_AVAILABLE_SESSION, max_wait_time=1
                ) as receiver:
                    while messages := await receiver.receive_messages(max_wait_time=0.3):
                        for message in messages:
                            seen.setdefault(str(message.session_id), []).append(str(message))
                            await receiver.complete_message(message)
            except OperationTimeoutError:
                return

    await asyncio.gather(work(), work())

    assert seen == {name: [f"{name}:{number}" for number in range(3)] for name in "abcd"}


async def test_a_session_is_held_renewed_and_lost(
    aio_client: ServiceBusClient, bus: RunningBus
) -> None:
    """State, renewal, the second receiver that is refused, and the lock that runs out."""
    await send(aio_client, "a:1")

    async with aio_client.get_queue_receiver(
        SESSIONS, session_id="a", max_wait_time=WAIT
    ) as receiver:
        [got] = await receiver.receive_messages()
        await receiver.session.set_state(b"state")
        with pytest.raises(SessionCannotBeLockedError):
            async with aio_client.get_queue_receiver(SESSIONS, session_id="a"):
                pass
        await asyncio.to_thread(bus.clock.advance, 45)
        await receiver.session.renew_lock()
        await asyncio.to_thread(bus.clock.advance, 45)
        assert await receiver.session.get_state() == b"state"
        await asyncio.to_thread(bus.clock.advance, 61)
        with pytest.raises(SessionLockLostError):
            await receiver.complete_message(got)


async def test_the_lock_renewer_keeps_a_session(
    aio_client: ServiceBusClient, bus: RunningBus
) -> None:
    """A session registered with the SDK's renewer stays held beyond its lock duration."""
    bus.create_queue("brief", requires_session=True, lock_duration_ms=1_500)
    async with aio_client.get_queue_sender("brief") as sender:
        await sender.send_messages(ServiceBusMessage("x", session_id="a"))

    async with (
        AutoLockRenewer(max_lock_renewal_duration=60) as renewer,
        aio_client.get_queue_receiver("brief", session_id="a", max_wait_time=WAIT) as receiver,
    ):
        begun = receiver.session.locked_until_utc
        renewer.register(receiver, receiver.session, max_lock_renewal_duration=60)
        [got] = await receiver.receive_messages()
        async with asyncio.timeout(10):
            while receiver.session.locked_until_utc == begun:
                await receiver.receive_messages(max_wait_time=0.2)
        await receiver.complete_message(got)

    assert bus.counts("brief")["active"] == 0


async def test_sessions_are_listed(aio_client: ServiceBusClient) -> None:
    """The list has each session once."""
    await send(aio_client, "b:1", "a:1", "a:2")

    assert [name async for name in aio_client.list_queue_sessions(SESSIONS)] == ["a", "b"]


async def test_a_topic_fans_out(aio_client: ServiceBusClient, bus: RunningBus) -> None:
    """What is sent to a topic reaches the subscriptions whose filter is true."""
    bus.create_topic("news")
    bus.create_subscription("news", "all")
    bus.create_subscription("news", "some", sql="n = 2")
    async with aio_client.get_topic_sender("news") as sender:
        for number in (1, 2):
            await sender.send_messages(
                ServiceBusMessage(str(number), application_properties={"n": number})
            )

    got: dict[str, list[str]] = {}
    for name in ("all", "some"):
        async with aio_client.get_subscription_receiver(
            "news", name, max_wait_time=WAIT, prefetch_count=5
        ) as receiver:
            got[name] = []
            while messages := await receiver.receive_messages(5, max_wait_time=2):
                for message in messages:
                    got[name].append(str(message))
                    await receiver.complete_message(message)

    assert got == {"all": ["1", "2"], "some": ["2"]}
