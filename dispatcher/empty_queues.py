"""Queues that hold nothing while the ledger waits for their lanes.

The sweep finds a lost message by what workers do: the lane has gone past it, or one stands idle. A
lane that scaled to none has no worker, and gets none: the autoscaler counts messages, and they are
what is missing. So somebody has to look at the queue. Any number of processes may.
"""

import asyncio
import logging

from contracts.lane import LaneTable
from contracts.states import State
from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader

EVERY = 60.0
"""Seconds between looks: one query, and one look at each queue that should hold something."""
_WAITING = (State.QUEUED, State.RETRYING)
_log = logging.getLogger(__name__)


class EmptyQueues:
    """Looks every so many seconds. A queue just emptied does no harm: the sweep takes up only what
    was sent ten minutes ago or more, and a message that comes nonetheless finds its attempt closed.
    """

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        bus: Bus,
        clock: Clock,
        lanes: LaneTable,
    ) -> None:
        self._ledger, self._reader, self._bus, self._clock = ledger, reader, bus, clock
        self._queues = {lane.name: lane.queue for lane in lanes}
        self.loop = Supervised("empty queues", self.step, EVERY)

    async def step(self) -> bool:
        """One look; whether another may find more. Raises BusUnavailable, LedgerBusy."""
        waited_for = await self._waited_for()
        empty = frozenset(
            [lane for lane in waited_for if await self._bus.is_empty(self._queues[lane])]
        )
        if not empty:
            return False
        swept = await self._ledger.sweep(self._clock.now(), empty=empty)
        if swept.promised_again:
            told = ", ".join(sorted(empty))
            _log.warning("%d messages were lost, of %s: sent again", swept.promised_again, told)
        return swept.promised_again > 0

    async def _waited_for(self) -> list[str]:
        """Lanes with tasks whose messages should be on their queue."""
        rows = await asyncio.to_thread(self._reader.lanes)
        return [
            row.lane
            for row in rows
            if row.lane in self._queues and any(row.states.get(state) for state in _WAITING)
        ]
