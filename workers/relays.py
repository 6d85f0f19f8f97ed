"""Relays: the envelopes that recorded tasks made due go to the bus beside those tasks, batched.

No task waits for it. Its outbox rows are committed, and the dispatcher relays what a crash left or
what fails here; so a queue whose sender is being opened (half a second) or is throttled keeps
neither the places of a lane nor the settlements of its deliveries.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from sqlalchemy.exc import SQLAlchemyError

from fleet.bus.bus import Bus
from fleet.bus.errors import BusUnavailable, MessageTooLarge
from fleet.clock import Clock
from fleet.ledger.errors import LedgerError
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import OutboxRow
from fleet.relay import relay_on_the_way
from workers.faultpoints import Point, passed

_log = logging.getLogger(__name__)

_MOST = 10_000
"""Rows of a queue that wait here: where so many do, further ones are left to the dispatcher."""


class Relays:
    """One worker's. A queue's rows go out in their order; queues do not wait for one another."""

    def __init__(self, bus: Bus, ledger: Ledger, clock: Clock, point: Point = passed) -> None:
        self._bus, self._ledger, self._clock, self._point = bus, ledger, clock, point
        self._waiting: dict[str, list[OutboxRow]] = {}
        self._under_way: set[str] = set()
        self._group: asyncio.TaskGroup | None = None

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Within the block, rows can be put; leaving it waits until they have been dealt with."""
        async with asyncio.TaskGroup() as self._group:
            yield

    def put(self, rows: Sequence[OutboxRow]) -> None:
        """Publish these soon. Raises RuntimeError outside of `kept`."""
        if self._group is None:
            raise RuntimeError("rows to relay, and nothing that relays them")
        slow = {queue for queue, waiting in self._waiting.items() if len(waiting) >= _MOST}
        for row in rows:
            if row.queue in slow:
                continue
            self._waiting.setdefault(row.queue, []).append(row)
            if row.queue not in self._under_way:
                self._under_way.add(row.queue)
                self._group.create_task(self._relay(row.queue), name=f"relay to {row.queue}")
        if left := sum(row.queue in slow for row in rows):
            _log.warning("%d envelopes are left to the dispatcher: their queue is too slow", left)

    async def _relay(self, queue: str) -> None:
        try:
            while rows := self._waiting.pop(queue, None):
                await self._publish(rows)
        finally:
            self._under_way.discard(queue)

    async def _publish(self, rows: Sequence[OutboxRow]) -> None:
        """What fails here stays due."""
        try:
            await relay_on_the_way(rows, self._bus, self._ledger, self._clock)
        except (BusUnavailable, MessageTooLarge, LedgerError, SQLAlchemyError, OSError) as cause:
            if len(rows) > 1 and not isinstance(cause, BusUnavailable):
                # Whatever one of them is refused for is no fault of the others.
                for row in rows:
                    await self._publish([row])
            else:
                _log.warning("%d envelopes are left to the dispatcher: %s", len(rows), cause)
        else:
            self._point("relayed")
