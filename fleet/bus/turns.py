"""Turns on one receiver: receiving makes way for settling.

The SDK reads its connection from whichever call is awaited. While a receive waits for messages, a
settlement's confirmation is read by that receive, and the settlement notices only when its own read
times out: 80 to 200 ms with the default socket timeout, 12 ms with one of 0.02 s. They take turns:

- `receive_one` waits as long as it takes, and is called off for the moment that a settlement takes,
  1 to 2 ms. What arrives in between is kept by the SDK, or released by it and delivered again
  uncounted.
- `receive_several` is for a full queue. The SDK ends such a call 0.2 s after its first message when
  fewer come than were asked for, so it is called off as soon as nothing more arrives, and what had
  arrived is taken out of the SDK's buffer with a call whose time is over as it begins. Settlements
  wait for that. It starts with an empty buffer: what such a call had taken out at its beginning
  would be lost when it is called off.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

_SOON = 0.005
"""Seconds that a settlement lets a receive of one go on, which may be about to be served."""
_FIRST, _NEXT, _TURNS = 0.01, 0.004, 8
"""A queue answers within so many seconds that has messages, and goes on without a longer pause;
reading a frame takes a busy loop so many turns, however long those are."""
_EACH = 0.0005
"""Seconds a message: a queue that is slower than that is not full."""
_TOGETHER, _A_TURN = 100, 0.05
"""Settlements of one turn, and seconds after which the next ones wait no longer: a broker that does
not answer one of them does not hold up the others."""
_LONG, _OVER = 30.0, 1e-9
"""Seconds: for a call that is called off, and for one that only takes what has arrived."""


class Turns:
    """One receiver's turns. Any number may settle at a time; one receives."""

    def __init__(self, receiver: ServiceBusReceiver) -> None:
        self.receiver = receiver
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._settling = 0
        self._all_settled = asyncio.Event()
        self._all_settled.set()
        self._turns: asyncio.Task[None] | None = None
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
        """Up to `most` messages of a queue that is thought full: what comes without a pause."""
        await self._free_to_receive.wait()
        async with self._several:
            began, pause = time.monotonic(), _FIRST
            arrived = await self._arrived(most)
            while len(arrived) < most:
                more = await self._arriving(most - len(arrived), pause)
                arrived += more
                pause = _NEXT
                if not more or time.monotonic() - began > _FIRST + _EACH * len(arrived):
                    break
            return arrived

    async def _arriving(self, most: int, pause: float) -> list[ServiceBusReceivedMessage]:
        """What comes within `pause` seconds. The SDK's buffer is empty before and after."""
        call = asyncio.ensure_future(
            self.receiver.receive_messages(max_message_count=most, max_wait_time=_LONG)
        )
        try:
            await asyncio.wait({call}, timeout=pause)
            for _ in range(_TURNS):
                if call.done():
                    break
                await asyncio.sleep(0)
        finally:
            await _ended(call)
        return await self._arrived(most) if call.cancelled() else call.result()

    async def _arrived(self, most: int) -> list[ServiceBusReceivedMessage]:
        """What lies in the SDK's buffer, without reading the connection."""
        return await self.receiver.receive_messages(max_message_count=most, max_wait_time=_OVER)

    async def settle(self, how: Callable[[ServiceBusReceiver], Awaitable[None]]) -> None:
        """Settle on the receiver, while it does not receive."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if self._turns is None or self._turns.done():
            self._turns = asyncio.ensure_future(self._settle_by_turns())
        try:
            await turn
            await how(self.receiver)
        finally:
            if turn.done() and not turn.cancelled():
                self._settling -= 1
                if not self._settling:
                    self._all_settled.set()
                    if not self._waiting:
                        self._free_to_receive.set()

    async def _settle_by_turns(self) -> None:
        """Let all go that wait, then those that came meanwhile. One that starts while others read
        their confirmations would wait for each of them: the SDK hands its socket's lock on in the
        order in which it was asked for, once for each turn of the loop."""
        while self._waiting:
            self._free_to_receive.clear()
            if self._several.locked():
                # One that has begun is waited for; a next one waits for these settlements.
                async with self._several:
                    pass
            if self._one is not None and not self._one.done():
                await asyncio.wait({self._one}, timeout=_SOON)
                await self._call_off()
            self._let_go()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_A_TURN):
                    await self._all_settled.wait()
            if not self._settling:
                self._free_to_receive.set()
                await asyncio.sleep(0)  # whoever waits to receive is next

    def _let_go(self) -> None:
        for _ in range(min(len(self._waiting), _TOGETHER)):
            turn = self._waiting.popleft()
            if not turn.done():  # it may have been given up
                self._settling += 1
                self._all_settled.clear()
                turn.set_result(None)

    async def _call_off(self) -> None:
        if self._one is not None:
            await _ended(self._one)


async def _ended(call: asyncio.Task[list[ServiceBusReceivedMessage]]) -> None:
    """Call it off, until it has ended: asyncio.wait_for, inside the SDK, forgets a cancellation
    that comes together with its result (Python 3.11), and the call would wait on."""
    while not call.done():
        call.cancel()
        await asyncio.wait({call}, timeout=_SOON)
