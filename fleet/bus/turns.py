"""Turns on one receiver: receiving makes way for settling.

The SDK reads its connection from whichever call is awaited. While a receive waits for messages, a
settlement's confirmation is read by that receive, and the settlement notices only when its own read
times out: 80 to 200 ms with the default socket timeout, measured; a shorter timeout costs CPU for
every idle queue (0.02 s: 2 % of a core each). So they take turns:

- `receive_one` waits as long as it takes, and is called off for the moment that a settlement takes,
  1 to 2 ms. What arrives in between is kept by the SDK, or released by it and delivered again
  uncounted.
- `receive_several` is for a full queue, which answers within milliseconds. It is never called off:
  the SDK would lose what it had already taken out of its buffer. Settlements wait for it instead,
  until the queue proves not to be full: the SDK would still read for 0.2 s, and the confirmation of
  a settlement is what ends that sooner.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

_SOON = 0.005
"""Seconds that a settlement lets a receive of one go on, which may be about to be served."""
_FULL_QUEUE = 0.06
"""Seconds after which a queue that was taken for full proves not to be."""


class Turns:
    """One receiver's turns. Any number may settle at a time; one receives."""

    def __init__(self, receiver: ServiceBusReceiver) -> None:
        self.receiver = receiver
        self._settling = 0
        self._free_to_receive = asyncio.Event()
        self._free_to_receive.set()
        self._one: asyncio.Task[list[ServiceBusReceivedMessage]] | None = None
        self._several = asyncio.Lock()
        self.renews = True
        """Whether locks can still be renewed on this receiver."""

    async def receive_one(self, wait: float) -> list[ServiceBusReceivedMessage]:
        """One message, or none when none came within `wait` seconds of quiet."""
        while True:
            await self._free_to_receive.wait()
            self._one = asyncio.ensure_future(
                self.receiver.receive_messages(max_message_count=1, max_wait_time=wait)
            )
            try:
                await asyncio.wait({self._one})
                if not self._one.cancelled():
                    return self._one.result()
            finally:
                await self._call_off()

    async def receive_several(self, most: int) -> list[ServiceBusReceivedMessage]:
        """Up to `most` messages of a queue that is thought to be full; within 0.2 seconds."""
        await self._free_to_receive.wait()
        async with self._several:
            return await self.receiver.receive_messages(
                max_message_count=most, max_wait_time=_FULL_QUEUE
            )

    async def settle(self, how: Callable[[ServiceBusReceiver], Awaitable[None]]) -> None:
        """Settle on the receiver, while it does not receive."""
        self._settling += 1
        self._free_to_receive.clear()
        try:
            if self._several.locked():
                # One that has begun is waited for; a next one waits for this settlement.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_FULL_QUEUE), self._several:
                        pass
            if self._one is not None and not self._one.done():
                await asyncio.wait({self._one}, timeout=_SOON)
                await self._call_off()
            await how(self.receiver)
        finally:
            self._settling -= 1
            if not self._settling:
                self._free_to_receive.set()

    async def _call_off(self) -> None:
        # Until it has ended: asyncio.wait_for, inside the SDK, forgets a cancellation that comes
        # together with its result (Python 3.11), and the receive would wait on for its half minute.
        while self._one is not None and not self._one.done():
            self._one.cancel()
            await asyncio.wait({self._one}, timeout=_SOON)
