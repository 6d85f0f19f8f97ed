"""Receivers: deliveries of one queue, as many as there is room for, for as long as it is wanted.

A receiver that fails is closed and opened again: an idle detach or a broker restart shows as a
pause, never as a lane gone deaf. Correctness does not rest on locks, so settling late is harmless.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    ServiceBusError,
)

from contracts.envelope import WireMessage
from fleet.bus.errors import BusUnavailable, SettleFailed
from fleet.bus.message import from_sdk
from fleet.bus.socket_wait import SOCKET_WAIT
from fleet.bus.turns import Turns

_log = logging.getLogger(__name__)
T = TypeVar("T")

_WAIT = 30.0
"""Seconds one receive call waits for a first message."""
_SINGLES = 3
"""After so many single messages in a row that came at once, a queue is taken for full."""
_FEWEST, _LARGEST_BATCH = 4, 100
_AT_ONCE = 0.01
"""Seconds within which a broker answers that has a message waiting."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_DEFERRED_LOOKS, _DEFERRED_PAUSE = 24, 5.0
"""Longer than a lock: the pod before this one may have died with it."""
_PATIENCE = 20.0
"""Seconds for a settlement; while one is under way nothing is received."""


class Delivery:
    """One handing-over of a message. Settle it once; not settling it brings it back."""

    def __init__(self, turns: Turns, received: ServiceBusReceivedMessage, queue: str) -> None:
        self._turns, self._received = turns, received
        self.queue = queue
        self.message: WireMessage = from_sdk(received)

    @property
    def count(self) -> int:
        """How often the broker has handed this message over, this time included."""
        return int(self._received.delivery_count or 0) + 1

    @property
    def sequence_number(self) -> int:
        return int(self._received.sequence_number or 0)

    @property
    def locked_until(self) -> datetime | None:
        return self._received.locked_until_utc

    async def complete(self) -> None:
        """Done with it. Raises SettleFailed."""
        await self._settle(lambda receiver: receiver.complete_message(self._received))

    async def abandon(self) -> None:
        """Hand it back; it is delivered again. Raises SettleFailed."""
        await self._settle(lambda receiver: receiver.abandon_message(self._received))

    async def defer(self) -> None:
        """Set it aside: only its sequence number brings it back. Raises SettleFailed."""
        await self._settle(lambda receiver: receiver.defer_message(self._received))

    async def dead_letter(self, reason: str, description: str) -> None:
        """Move it to the dead-letter queue with a reason. Raises SettleFailed."""
        await self._settle(
            lambda receiver: receiver.dead_letter_message(
                self._received, reason=reason, error_description=description[:4000]
            )
        )

    async def renew(self) -> None:
        """Keep the broker's lock. Raises SettleFailed when it is lost already.

        The SDK never again gets an answer on a receiver that has renewed some 10,000 times (its
        management link's credits are not replenished): then locks lapse, which harms nothing.
        """
        if not self._turns.renews:
            raise SettleFailed(f"locks of {self.queue} are no longer renewed on this receiver")
        try:
            await self._settle(self._renewed)
        except SettleFailed as failed:
            if isinstance(failed.__cause__, TimeoutError):
                self._turns.renews = False
            raise

    async def _renewed(self, receiver: ServiceBusReceiver) -> None:
        await receiver.renew_message_lock(self._received)

    async def _settle(self, how: Callable[[ServiceBusReceiver], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turns.settle(how)
        except (ServiceBusError, OSError, ValueError, TimeoutError) as cause:
            # ValueError: the SDK says so when a handler was closed under it.
            raise SettleFailed(f"a delivery of {self.queue} was not settled: {cause}") from cause


class Room:
    """How many more deliveries may be taken; giving a place back wakes the receiver.

    A closed room lets nothing more be taken from the queue. `take_first` goes before the queue: for
    work that the queue would bring too late. `full` is set once a receiver has found more on the
    queue than it could take.
    """

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._firsts = 0
        self._closed: set[str] = set()
        self._changed = asyncio.Event()
        self.full = asyncio.Event()

    @property
    def closed(self) -> bool:
        return bool(self._closed)

    def close(self, why: str) -> None:
        """Let nothing more be taken until this reason, and every other, is gone."""
        self._closed.add(why)

    def open(self, why: str) -> None:
        """This reason is gone. Harmless where it never was there."""
        self._closed.discard(why)
        self._changed.set()

    async def take_first(self) -> None:
        """Wait for one place and take it, before any `take`."""
        self._firsts += 1
        try:
            while self._free < 1 or self._closed:
                await self._wait()
            self._free -= 1
        finally:
            self._firsts -= 1
            self._changed.set()

    async def take(self, wanted: int) -> int:
        """Wait until half of `wanted` is free, or half of all; then take up to `wanted`.

        One place at a time would mean one round trip for each message of a full queue.
        """
        while self._closed or self._firsts or self._free < max(1, min(wanted, self._places) // 2):
            await self._wait()
        taken = min(self._free, wanted)
        self._free -= taken
        return taken

    def give_back(self, places: int = 1) -> None:
        self._free += places
        self._changed.set()

    def shrink(self) -> None:
        """One place fewer: what was taken for it is over, and something still stands there."""
        self._places, self._free = self._places - 1, self._free - 1

    def grow(self) -> None:
        """One place more."""
        self._places += 1
        self.give_back()

    @property
    def places(self) -> int:
        return self._places

    async def all_back(self) -> None:
        """Wait until nothing is taken."""
        while self._free < self._places:
            await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def deliveries(
    client: ServiceBusClient, queue: str, room: Room, stop: asyncio.Event, *, second: bool = False
) -> AsyncIterator[Delivery]:
    """Deliveries of `queue` until `stop`; each holds a place of `room` that the caller gives back.

    Waits where the bus is away and tries again, from 0.2 up to 10 seconds apart. After `stop` it
    receives no more, and stays open until every place is given back, so that all can be settled.

    `second`: begins once another one has found the queue full. While one of the two settles, the
    other receives.
    """
    if second:
        await _until(stop, room.full.wait())
    pause = _FIRST_PAUSE
    while not stop.is_set():
        receiver = client.get_queue_receiver(queue, prefetch_count=0, socket_timeout=SOCKET_WAIT)
        try:
            async with receiver:
                turns = Turns(receiver)
                async for received in _received(turns, room, stop):
                    pause = _FIRST_PAUSE
                    delivery = Delivery(turns, received, queue)
                    if stop.is_set():
                        # Of a batch that came before the stop: others may have it at once.
                        with contextlib.suppress(SettleFailed):
                            await delivery.abandon()
                        room.give_back()
                    else:
                        yield delivery
                await room.all_back()
        except (ServiceBusError, OSError, ValueError) as cause:
            # ValueError: the SDK says so when a handler was closed under it.
            _log.warning("receiver of %s failed, reopening in %.1f s: %s", queue, pause, cause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def deferred(
    client: ServiceBusClient, queue: str, number: int, room: Room, stop: asyncio.Event
) -> AsyncIterator[Delivery]:
    """The one deferred message of this number, or none where there is none for two minutes: it is
    settled already. (What took it before may have died, and its lock has yet to lapse.) Then sets
    `stop`. Raises BusUnavailable.
    """
    try:
        async with client.get_queue_receiver(queue, prefetch_count=0) as receiver:
            found: list[ServiceBusReceivedMessage] = []
            for _ in range(_DEFERRED_LOOKS):
                with contextlib.suppress(MessageNotFoundError, MessageLockLostError):
                    found = await receiver.receive_deferred_messages(number)
                if found or stop.is_set():
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), _DEFERRED_PAUSE)
            for one in found:
                await room.take(1)
                yield Delivery(Turns(receiver), one, queue)
            await room.all_back()
    except (ServiceBusError, OSError, ValueError) as cause:
        raise BusUnavailable(f"message {number} of {queue} cannot be taken: {cause}") from cause
    finally:
        stop.set()


async def _received(
    turns: Turns, room: Room, stop: asyncio.Event
) -> AsyncIterator[ServiceBusReceivedMessage]:
    """Ask for one message while the queue is slack, for several while it is full.

    A queue is full when single messages come at once, and stays so while as many come as were
    asked for. When fewer do, one that comes at once is enough to ask for as many again.
    """
    swift, several = 0, _FEWEST
    while not stop.is_set():
        wanted = several if swift >= _SINGLES else 1
        if (asked := await _until(stop, room.take(wanted))) is None:
            return
        batch: list[ServiceBusReceivedMessage] = []
        try:
            if asked == 1:
                asked_at = time.monotonic()
                batch = await _until(stop, turns.receive_one(_WAIT)) or []
                at_once = bool(batch) and time.monotonic() - asked_at < _AT_ONCE
                swift = swift + 1 if at_once else 0
            else:
                batch = await turns.receive_several(asked)
                if len(batch) == asked:
                    room.full.set()
                    several = min(max(several, asked * 4), _LARGEST_BATCH)
                else:
                    swift, several = _SINGLES - 1, max(len(batch), _FEWEST)
        finally:
            room.give_back(asked - len(batch))
        for received in batch:
            yield received


async def _until(stop: asyncio.Event, wanted: Coroutine[Any, Any, T]) -> T | None:
    """The result of `wanted`, or None when `stop` is set first."""
    task = asyncio.ensure_future(wanted)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for future in (task, stopped):
            if not future.done():
                future.cancel()
                await asyncio.wait([future])
