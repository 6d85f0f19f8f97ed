"""The bus as the rest of the fleet knows it: publish to a queue, take deliveries from it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from azure.servicebus.aio import ServiceBusClient

from fleet.artifacts.store import ArtifactStore
from fleet.bus.claim_check import checked_in, checked_out
from fleet.bus.message import Outgoing
from fleet.bus.receiver import Delivery, Room, deliveries
from fleet.bus.sender import QueueSender

INTAKE_QUEUE = "intake"


class Bus:
    """One namespace. Opened by `open_bus`; senders are kept for life."""

    def __init__(self, client: ServiceBusClient, bodies: ArtifactStore) -> None:
        self._client, self._bodies = client, bodies
        self._senders: dict[str, QueueSender] = {}

    async def publish(self, queue: str, messages: Sequence[Outgoing]) -> None:
        """Send all, in few round trips; large bodies travel as a claim check.

        Raises BusUnavailable (try again: message ids make a second sending harmless) or
        MessageTooLarge.
        """
        if not messages:
            return
        ready = [
            outgoing.model_copy(update={"message": checked_in(outgoing.message, self._bodies)})
            for outgoing in messages
        ]
        sender = self._senders.get(queue)
        if sender is None:
            sender = self._senders[queue] = QueueSender(self._client, queue)
        await sender.send(ready)

    def deliveries(self, queue: str, room: Room) -> AsyncIterator[Delivery]:
        """Deliveries without end; see fleet.bus.receiver. Bodies left in the store are not read."""
        return deliveries(self._client, queue, room)

    async def body_of(self, delivery: Delivery) -> Delivery:
        """The delivery with its body read from the store. Raises MalformedEnvelope."""
        delivery.message = await asyncio.to_thread(checked_out, delivery.message, self._bodies)
        return delivery

    async def aclose(self) -> None:
        for sender in self._senders.values():
            await sender.aclose()


@contextlib.asynccontextmanager
async def open_bus(connection: str, bodies: ArtifactStore) -> AsyncIterator[Bus]:
    """A bus by its connection string (`UseDevelopmentEmulator=true` for a local one).

    The SDK's own retry is for hiccups of one call only; work is retried through the ledger.
    """
    async with ServiceBusClient.from_connection_string(
        connection, retry_total=2, retry_backoff_factor=0.2, retry_backoff_max=2
    ) as client:
        bus = Bus(client, bodies)
        try:
            yield bus
        finally:
            await bus.aclose()
