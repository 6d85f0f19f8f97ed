"""A small, honest broker: at least once, locks that lapse, an order that nobody promised.

It models what the fleet relies on of Service Bus and no more: peek-lock, delivery counts with a
limit, scheduled messages, duplicate detection by message id; and what goes wrong with it: a lock
lost early, a message delivered twice, a reply that never comes, a queue that is away.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from contracts.envelope import WireMessage
from fleet.bus.errors import BusUnavailable, SettleFailed
from fleet.bus.message import Outgoing
from fleet.bus.receiver import Room
from tests.simulation.life import START, Life

LOCK = 30.0
_DELIVERIES = 20
_DUPLICATE_WINDOW = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFaults:
    """How often what goes wrong, as chances of each occasion."""

    lock_lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    reply_lost: float = 0.0
    away: float = 0.0


@dataclass(slots=True, eq=False)
class _Message:
    wire: WireMessage
    number: int
    visible: float
    count: int = 0
    lock: int = 0
    """Of the delivery that holds it; 0 while nobody does."""
    locked_until: float = 0.0


@dataclass(slots=True)
class Broker:
    """One queue a name. All times are the loop's."""

    chance: Random
    faults: BrokerFaults
    dead: list[WireMessage] = field(default_factory=list)
    lock_every: float | None = None
    """When set, every lock ends after so many seconds, whatever is renewed, and no settlement
    arrives: the message comes again and again, until it has come too often."""
    lost_locks: int = 0
    _queues: dict[str, list[_Message]] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)
    _numbers: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, queue: str, outgoing: Outgoing) -> None:
        """Take a message; one whose id was seen within the window is dropped."""
        now = _time()
        known = self._seen.get(outgoing.message.message_id)
        if known is not None and now - known < _DUPLICATE_WINDOW:
            return
        self._seen[outgoing.message.message_id] = now
        visible = now
        if outgoing.not_before is not None:
            visible = max(now, (outgoing.not_before - START).total_seconds())
        copies = 2 if self.chance.random() < self.faults.doubled else 1
        for _ in range(copies):
            self._numbers += 1
            held = self._queues.setdefault(queue, [])
            held.append(_Message(outgoing.message, self._numbers, visible))
        self.wake_at(visible)

    def take(self, queue: str) -> _Message | None:
        """Lock a message that is free now, mostly the oldest."""
        now = _time()
        free = []
        for message in list(self._queues.get(queue, ())):
            if message.lock and message.locked_until <= now:
                self._free(queue, message)
            if not message.lock and message.visible <= now and message.count < _DELIVERIES:
                free.append(message)
        if not free:
            return None
        astray = self.chance.random() < self.faults.reordered
        message = self.chance.choice(free) if astray else free[0]
        self._numbers += 1
        message.lock, message.locked_until = self._numbers, now + self._lock_length()
        self.wake_at(message.locked_until)
        return message

    def renew(self, message: _Message, lock: int) -> None:
        """Raises SettleFailed."""
        self._check(message, lock)
        if self.lock_every is None:
            message.locked_until = _time() + LOCK
            self.wake_at(message.locked_until)

    def complete(self, queue: str, message: _Message, lock: int) -> None:
        """Raises SettleFailed."""
        self._check(message, lock)
        if self.lock_every is not None:
            raise SettleFailed("lost on the way")
        self._queues[queue].remove(message)
        message.lock = 0

    def abandon(self, queue: str, message: _Message, lock: int) -> None:
        """Raises SettleFailed."""
        self._check(message, lock)
        self._free(queue, message)

    def wake_at(self, when: float) -> None:
        """Let receivers look again then."""
        asyncio.get_running_loop().call_at(when, self._arrived.set)

    async def change(self) -> None:
        """Until there may be something to take."""
        self._arrived.clear()
        await self._arrived.wait()

    def _lock_length(self) -> float:
        if self.lock_every is not None:
            return self.lock_every
        lost = self.chance.random() < self.faults.lock_lost
        return self.chance.uniform(0.0, 5.0) if lost else LOCK

    def _free(self, queue: str, message: _Message) -> None:
        message.lock, message.count = 0, message.count + 1
        self.lost_locks += 1
        if message.count >= _DELIVERIES:
            self._queues[queue].remove(message)
            self.dead.append(message.wire)
        self.wake_at(_time())

    def _check(self, message: _Message, lock: int) -> None:
        if message.lock != lock or message.locked_until <= _time():
            raise SettleFailed("the lock is lost")


class SimDelivery:
    """What the worker knows as a Delivery."""

    def __init__(
        self, broker: Broker, queue: str, held: _Message, life: Life, settles: Callable[..., None]
    ) -> None:
        self._broker, self._held, self._lock, self._life = broker, held, held.lock, life
        self._settles = settles
        self.queue, self.message = queue, held.wire
        self.count, self.sequence_number = held.count + 1, held.number
        self.locked_until: datetime | None = None

    async def complete(self) -> None:
        await self._life.step()
        self._settles(self)
        self._broker.complete(self.queue, self._held, self._lock)
        await self._reply()

    async def abandon(self) -> None:
        await self._life.step()
        self._broker.abandon(self.queue, self._held, self._lock)
        await self._reply()

    async def defer(self) -> None:
        await self.complete()

    async def dead_letter(self, reason: str, description: str) -> None:
        await self._life.step()
        self._broker.complete(self.queue, self._held, self._lock)
        self._broker.dead.append(self.message)

    async def renew(self) -> None:
        await self._life.step()
        self._broker.renew(self._held, self._lock)

    async def _reply(self) -> None:
        await self._life.step()
        if self._broker.chance.random() < self._broker.faults.reply_lost:
            raise SettleFailed("done, and nobody was told")


class SimBus:
    """One process's hold on the broker; what the worker and the relay know as a Bus."""

    def __init__(self, broker: Broker, life: Life, settles: Callable[..., None]) -> None:
        self._broker, self._life, self._settles = broker, life, settles

    async def publish(self, queue: str, messages: Sequence[Outgoing]) -> None:
        """Any number of them may have gone through when this fails."""
        for message in messages:
            await self._life.step()
            if self._broker.chance.random() < self._broker.faults.away:
                raise BusUnavailable("the bus is away")
            self._broker.put(queue, message)
        if self._broker.chance.random() < self._broker.faults.reply_lost:
            raise BusUnavailable("sent, and nobody was told")

    async def deliveries(
        self, queue: str, room: Room, stop: asyncio.Event, *, second: bool = False
    ) -> AsyncIterator[SimDelivery]:
        """Until `stop`; see fleet.bus.receiver. No queue is ever full here."""
        while not second and not stop.is_set():
            if not await _taken(room, stop):
                break
            while not stop.is_set() and (held := self._broker.take(queue)) is None:
                await self._broker.change()
            if stop.is_set():
                room.give_back()
                break
            assert held is not None
            delivery = SimDelivery(self._broker, queue, held, self._life, self._settles)
            await self._life.step()
            yield delivery
        await room.all_back()

    async def whole(self, message: WireMessage) -> WireMessage:
        return message


async def _taken(room: Room, stop: asyncio.Event) -> bool:
    """Whether a place was taken before `stop` was set."""
    if not room.closed:
        await room.take(1)
        return True
    taking, stopped = asyncio.ensure_future(room.take(1)), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({taking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return taking.done()
    finally:
        taking.cancel()
        stopped.cancel()


def _time() -> float:
    return asyncio.get_running_loop().time()
