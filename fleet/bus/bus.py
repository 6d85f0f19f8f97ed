"""The bus as the rest of the fleet knows it: publish to a queue, take deliveries from it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.servicebus import (
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusSubQueue,
)
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError
from opentelemetry.trace import Tracer

from contracts.envelope import WireMessage
from fleet.artifacts.store import ArtifactStore
from fleet.bus.address import messaging_client
from fleet.bus.claim_check import checked_in, checked_out, has_reference
from fleet.bus.errors import BusUnavailable
from fleet.bus.message import Outgoing, from_sdk
from fleet.bus.receiver import Delivery, Room, deferred, deliveries
from fleet.bus.send_span import send_span
from fleet.bus.sender import QueueSender
from fleet.bus.set_aside import SetAside, set_aside

INTAKE_QUEUE = "intake"

_PEEKED = 50
"""Messages that are looked at, from the oldest on: some may be scheduled or set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """A message on a dead-letter queue, and why it is there."""

    message: WireMessage
    sequence_number: int
    reason: str
    description: str


class Bus:
    """One namespace. Opened by `open_bus`; senders are kept for life."""

    def __init__(
        self, client: ServiceBusClient, bodies: ArtifactStore, tracer: Tracer | None = None
    ) -> None:
        """`tracer`: for the span of each sending."""
        self._client, self._bodies, self._tracer = client, bodies, tracer
        self._senders: dict[str, QueueSender] = {}

    async def publish(self, queue: str, messages: Sequence[Outgoing]) -> None:
        """Send all, in few round trips; large bodies travel as a claim check.

        Raises BusUnavailable (try again: message ids make a second sending harmless) or
        MessageTooLarge.
        """
        if not messages:
            return
        ready = [
            Outgoing(message=checked_in(one.message, self._bodies), not_before=one.not_before)
            for one in messages
        ]
        sender = self._senders.get(queue)
        if sender is None:
            sender = self._senders[queue] = QueueSender(self._client, queue)
        if self._tracer is None:
            await sender.send(ready)
        else:
            with send_span(self._tracer, queue, ready):
                await sender.send(ready)

    def deliveries(
        self, queue: str, room: Room, stop: asyncio.Event, *, second: bool = False
    ) -> AsyncIterator[Delivery]:
        """Deliveries until `stop`; see fleet.bus.receiver. Bodies in the store are not yet read."""
        return deliveries(self._client, queue, room, stop, second=second)

    def deferred(
        self, queue: str, number: int, room: Room, stop: asyncio.Event
    ) -> AsyncIterator[Delivery]:
        """One deferred message, once; see fleet.bus.receiver."""
        return deferred(self._client, queue, number, room, stop)

    async def oldest(self, queue: str) -> datetime | None:
        """Since when the oldest message that is not for later is on its queue; it may be locked.

        Looks, and takes nothing. Raises BusUnavailable.
        """
        seen = await self._looked_at(queue, _PEEKED)
        active = (one for one in seen if one.state is ServiceBusMessageState.ACTIVE)
        return min((one.enqueued_time_utc for one in active if one.enqueued_time_utc), default=None)

    async def is_empty(self, queue: str) -> bool:
        """Whether nothing is on a queue: no message that waits, is locked, deferred or for later.

        Looks, and takes nothing. Raises BusUnavailable.
        """
        return not await self._looked_at(queue, 1)

    async def dead_lettered(self, queue: str, after: int, most: int) -> list[DeadLettered]:
        """Up to `most` messages of a dead-letter queue, with numbers over `after`, in their order.

        Looks, and takes nothing. Raises BusUnavailable.
        """
        try:
            async with self._client.get_queue_receiver(
                queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER
            ) as receiver:
                seen = await receiver.peek_messages(
                    max_message_count=most, sequence_number=after + 1
                )
        except (ServiceBusError, OSError, ValueError) as cause:
            raise BusUnavailable(
                f"the dead letters of {queue} cannot be looked at: {cause}"
            ) from cause
        return [
            DeadLettered(
                message=from_sdk(one),
                sequence_number=int(one.sequence_number or 0),
                reason=one.dead_letter_reason or "set aside by the broker",
                description=one.dead_letter_error_description or "",
            )
            for one in seen
        ]

    async def _looked_at(self, queue: str, most: int) -> list[ServiceBusReceivedMessage]:
        try:
            async with self._client.get_queue_receiver(queue) as receiver:
                return await receiver.peek_messages(max_message_count=most)
        except (ServiceBusError, OSError, ValueError) as cause:
            raise BusUnavailable(f"queue {queue} cannot be looked at: {cause}") from cause

    def set_aside(
        self, queue: str, sequence_number: int, *, dead: bool
    ) -> contextlib.AbstractAsyncContextManager[SetAside | None]:
        """A deferred or dead-lettered message by its number; see fleet.bus.set_aside."""
        return set_aside(self._client, queue, sequence_number, dead=dead)

    async def whole(self, message: WireMessage) -> WireMessage:
        """The message, its body read from the store if it lies there. Raises MalformedEnvelope."""
        if has_reference(message):
            return await asyncio.to_thread(checked_out, message, self._bodies)
        return checked_out(message, self._bodies)

    async def aclose(self) -> None:
        # Together: closing one takes the SDK half a second.
        await asyncio.gather(*(sender.aclose() for sender in self._senders.values()))


@contextlib.asynccontextmanager
async def open_bus(
    address: str, bodies: ArtifactStore, tracer: Tracer | None = None, **options: Any
) -> AsyncIterator[Bus]:
    """A bus by its connection string (`UseDevelopmentEmulator=true` for a local one), or by the
    namespace that this process signs in to; see fleet.bus.address. `tracer`: of `send` spans.

    The SDK's own retry is for hiccups of one call only; work is retried through the ledger.
    """
    async with messaging_client(
        address, retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=2, **options
    ) as client:
        bus = Bus(client, bodies, tracer)
        try:
            yield bus
        finally:
            await bus.aclose()
