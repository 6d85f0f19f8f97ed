"""Senders: one a queue, opened at first use and kept for life (opening costs half a second).

Callers that publish at the same time share batches: while one send is on its way, what others
bring is collected and goes out together.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusError

from fleet.bus.errors import BusUnavailable, MessageTooLarge
from fleet.bus.message import Outgoing, to_sdk
from fleet.bus.socket_wait import SOCKET_WAIT


@dataclass(slots=True)
class _Parcel:
    """What one caller wants sent, and where it waits for the broker's word."""

    messages: Sequence[Outgoing]
    sent: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class QueueSender:
    """Publishes to one queue. `send` returns once the broker has taken everything."""

    def __init__(self, client: ServiceBusClient, queue: str) -> None:
        self._client, self._queue = client, queue
        self._sender: ServiceBusSender | None = None
        self._waiting: list[_Parcel] = []
        self._flushing: asyncio.Task[None] | None = None

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Raises BusUnavailable or MessageTooLarge; then some may have been sent all the same."""
        parcel = _Parcel(messages)
        self._waiting.append(parcel)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush(), name=f"send {self._queue}")
        # Shielded: a caller that gives up must not cut off what others put in the same batch.
        await asyncio.shield(parcel.sent)

    async def aclose(self) -> None:
        if self._flushing is not None:
            await asyncio.wait([self._flushing])
        if self._sender is not None:
            await self._sender.close()

    async def _flush(self) -> None:
        while self._waiting:
            parcels, self._waiting = self._waiting, []
            try:
                await self._send_all([m for parcel in parcels for m in parcel.messages])
            except (ServiceBusError, MessageTooLarge, OSError) as cause:
                await self._send_apart(parcels, cause)
                continue
            for parcel in parcels:
                _resolve(parcel)

    async def _send_apart(self, parcels: list[_Parcel], cause: Exception) -> None:
        """One bad message must not fail its neighbours: each parcel alone, after a failed batch."""
        for parcel in parcels:
            try:
                if len(parcels) == 1:
                    raise cause
                await self._send_all(parcel.messages)
            except MessageTooLarge as too_large:
                _resolve(parcel, too_large)
            except MessageSizeExceededError:
                _resolve(parcel, MessageTooLarge(f"a message for {self._queue} is over the limit"))
            except (ServiceBusError, OSError) as failure:
                _resolve(parcel, BusUnavailable(f"cannot send to {self._queue}: {failure}"))
            else:
                _resolve(parcel)

    async def _send_all(self, messages: Sequence[Outgoing]) -> None:
        sender = await self._opened()
        now = [m for m in messages if m.not_before is None]
        if len(now) == 1:
            await sender.send_messages(to_sdk(now[0].message))
        elif now:
            await self._send_batches(sender, now)
        for outgoing in messages:
            if outgoing.not_before is not None:
                await sender.schedule_messages(to_sdk(outgoing.message), outgoing.not_before)

    async def _send_batches(self, sender: ServiceBusSender, messages: Sequence[Outgoing]) -> None:
        batch: ServiceBusMessageBatch = await sender.create_message_batch()
        for outgoing in messages:
            message = to_sdk(outgoing.message)
            try:
                batch.add_message(message)
            except MessageSizeExceededError:
                if not len(batch):
                    raise
                await sender.send_messages(batch)
                batch = await sender.create_message_batch()
                batch.add_message(message)
        await sender.send_messages(batch)

    async def _opened(self) -> ServiceBusSender:
        if self._sender is None:
            self._sender = self._client.get_queue_sender(self._queue, socket_timeout=SOCKET_WAIT)
        return self._sender


def _resolve(parcel: _Parcel, fault: Exception | None = None) -> None:
    if parcel.sent.done():
        return
    if fault is None:
        parcel.sent.set_result(None)
    else:
        parcel.sent.set_exception(fault)
