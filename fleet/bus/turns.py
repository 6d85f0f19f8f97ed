"""Turns on one receiver: receiving makes way for settling.

The SDK reads its connection from whichever call is awaited. While a receive waits for messages, a
settlement's confirmation is read by that receive, and the settlement notices only when its own read
times out: 80 to 200 ms with the default socket timeout, measured; a shorter timeout costs CPU for
every idle queue (0.02 s: 2 % of a core each). So a receive that waits is called off for the moment
that a settlement takes, 1 to 2 ms, and then taken up again. What arrives in between is kept by the
SDK, or released by it and delivered again uncounted. A receive that is about to be served is not
called off: of a full queue the broker serves it within milliseconds.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

_ABOUT_TO_BE_SERVED = 0.005
"""Seconds that a settlement lets a receive go on."""


class Turns:
    """One receiver's turns. Any number may settle at a time; one receives."""

    def __init__(self, receiver: ServiceBusReceiver) -> None:
        self.receiver = receiver
        self._settling = 0
        self._free_to_receive = asyncio.Event()
        self._free_to_receive.set()
        self._receiving: asyncio.Task[list[ServiceBusReceivedMessage]] | None = None
        self._left = 0
        """Messages that the SDK may have kept from receives that were called off."""

    async def receive(self, most: int, wait: float) -> list[ServiceBusReceivedMessage]:
        """Up to `most` messages; none when there is none within `wait` seconds of quiet."""
        while True:
            await self._free_to_receive.wait()
            # What was kept is taken up one by one: a receive of several first takes what is kept
            # out of the SDK's buffer, and would lose it when it is called off in its turn.
            asked = 1 if self._left else most
            self._receiving = asyncio.ensure_future(
                self.receiver.receive_messages(max_message_count=asked, max_wait_time=wait)
            )
            try:
                await asyncio.wait({self._receiving})
                if not self._receiving.cancelled():
                    self._left = max(0, self._left - 1)
                    return self._receiving.result()
                self._left = max(self._left, asked)
            finally:
                await self._call_off()

    @contextlib.asynccontextmanager
    async def settling(self) -> AsyncIterator[ServiceBusReceiver]:
        """The receiver, to settle on; a receive that waits is called off for as long."""
        self._settling += 1
        self._free_to_receive.clear()
        try:
            if self._receiving is not None and not self._receiving.done():
                await asyncio.wait({self._receiving}, timeout=_ABOUT_TO_BE_SERVED)
            await self._call_off()
            yield self.receiver
        finally:
            self._settling -= 1
            if not self._settling:
                self._free_to_receive.set()

    async def _call_off(self) -> None:
        # Until it has ended: asyncio.wait_for, inside the SDK, forgets a cancellation that comes
        # together with its result (Python 3.11), and the receive would wait on for its half minute.
        while self._receiving is not None and not self._receiving.done():
            self._receiving.cancel()
            await asyncio.wait({self._receiving}, timeout=_ABOUT_TO_BE_SERVED)
