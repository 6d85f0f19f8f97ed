"""Messages set aside, taken by their number: deferred ones, and those on a dead-letter queue."""

import contextlib
from collections.abc import AsyncIterator

from azure.servicebus import ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import MessageNotFoundError, ServiceBusError

from contracts.envelope import WireMessage
from fleet.bus.errors import BusUnavailable
from fleet.bus.message import from_sdk

_BATCH = 100
_MOST = 2000
"""How deep into a dead-letter queue a message is looked for: all before it are locked meanwhile."""
_WAIT = 2.0
"""Seconds that a receive waits for messages that were there a moment ago."""


class SetAside:
    """One such message, locked while it is looked at. Unless dropped, it stays where it is."""

    def __init__(self, received: ServiceBusReceivedMessage, receiver: ServiceBusReceiver) -> None:
        self._received, self._receiver = received, receiver
        self.message: WireMessage = from_sdk(received)
        self.dropped = False

    async def drop(self) -> None:
        """It was taken up otherwise and is not needed any more. Raises BusUnavailable."""
        try:
            await self._receiver.complete_message(self._received)
        except (ServiceBusError, OSError, ValueError) as cause:
            raise BusUnavailable(f"a message set aside was not dropped: {cause}") from cause
        self.dropped = True


@contextlib.asynccontextmanager
async def set_aside(
    client: ServiceBusClient, queue: str, sequence_number: int, *, dead: bool
) -> AsyncIterator[SetAside | None]:
    """The deferred, or `dead`-lettered, message of this number; None where there is none (now).

    Raises BusUnavailable. A dead-letter queue has no way in by number but from its front.
    """
    sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
    receiver = client.get_queue_receiver(queue, sub_queue=sub_queue, prefetch_count=0)
    async with contextlib.AsyncExitStack() as opened:
        try:
            await opened.enter_async_context(receiver)
            if dead:
                found, others = await _from_the_front(receiver, sequence_number)
                opened.push_async_callback(_give_back, receiver, others)
            else:
                found = await _deferred(receiver, sequence_number)
        except (ServiceBusError, OSError, ValueError) as cause:
            raise BusUnavailable(f"cannot receive from {queue}: {cause}") from cause
        held = None if found is None else SetAside(found, receiver)
        try:
            yield held
        finally:
            if found is not None and held is not None and not held.dropped:
                await _give_back(receiver, [found])


async def _deferred(
    receiver: ServiceBusReceiver, sequence_number: int
) -> ServiceBusReceivedMessage | None:
    try:
        received = await receiver.receive_deferred_messages(sequence_number)
    except MessageNotFoundError:
        return None
    return received[0] if received else None


async def _from_the_front(
    receiver: ServiceBusReceiver, sequence_number: int
) -> tuple[ServiceBusReceivedMessage | None, list[ServiceBusReceivedMessage]]:
    """The message, and those that lay before it, which are locked as well."""
    peeked = await receiver.peek_messages(1, sequence_number=sequence_number)
    if not peeked or peeked[0].sequence_number != sequence_number:
        return None, []
    others: list[ServiceBusReceivedMessage] = []
    while len(others) < _MOST:
        batch = await receiver.receive_messages(max_message_count=_BATCH, max_wait_time=_WAIT)
        if not batch:
            break
        found = next((one for one in batch if one.sequence_number == sequence_number), None)
        others += [one for one in batch if one is not found]
        if found is not None:
            return found, others
    return None, others


async def _give_back(receiver: ServiceBusReceiver, others: list[ServiceBusReceivedMessage]) -> None:
    # What is not given back comes back by itself when its lock lapses.
    with contextlib.suppress(ServiceBusError, OSError, ValueError):
        for one in others:
            await receiver.abandon_message(one)
