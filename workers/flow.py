"""The flow into a worker's lanes, by what the ledger says of them.

A paused lane takes nothing from its queue: messages stay where they are, uncounted. What has come
already is put off by its claim. A lane with tasks that go ahead of their queue (urgent ones, and
those that have waited for a slot) takes them from the ledger, in the places that come free, before
it takes anything else from the queue; their messages are completed unrun when their turn comes.
While the ledger is not written, or slowly, nothing is taken either: it would only lose its lock.

One small query a second tells all of this; what a claim learns meanwhile counts at once.
"""

import asyncio
import contextlib
import logging

from sqlalchemy.exc import SQLAlchemyError

from contracts.envelope import Envelope, encoded
from contracts.lane import Lane
from fleet.bus.errors import SettleFailed
from fleet.bus.receiver import Delivery, Room
from fleet.clock import Clock
from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import FlowView

_log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks."""
SLOW = 2.0
"""Seconds for one transaction after which the ledger is given time."""
_PAUSED, _LEDGER = "paused", "the ledger is slow"


class Flow:
    """What the lanes of one worker may take. Without `keep` running, everything."""

    def __init__(
        self, ledger: Ledger, clock: Clock, every: float = EVERY, slow: float = SLOW
    ) -> None:
        self._ledger, self._clock, self._every, self._slow = ledger, clock, every, slow
        self._rooms: dict[str, Room] = {}
        self._away = False
        self._ahead: dict[str, asyncio.Event] = {}
        self._look = asyncio.Event()

    def room(self, lane: Lane) -> Room:
        """The lane's places."""
        self._ahead[lane.name] = asyncio.Event()
        return self._rooms.setdefault(lane.name, Room(lane.concurrency))

    def paused(self, lane: str) -> bool:
        """Whether nothing is taken for the lane now, by an operator's word or for want of a
        ledger."""
        return lane in self._rooms and self._rooms[lane].closed

    def ahead(self, lane: str) -> asyncio.Event:
        """Set while there are tasks to take ahead of the lane's queue."""
        return self._ahead[lane]

    def look_now(self) -> None:
        """A claim was told of a pause."""
        self._look.set()

    def ledger_away(self) -> None:
        """A claim or record could not be written: take nothing until a look succeeds."""
        if not self._away:
            _log.warning("the ledger is slow or away: nothing is taken until it can be written")
        self._away = True
        for room in self._rooms.values():
            room.close(_LEDGER)

    async def keep(self, done: asyncio.Event) -> None:
        """Look every second, and at once when told to, until `done`."""
        while not done.is_set():
            self._look.clear()
            try:
                if await self._ledger_answers():
                    self._apply(await self._ledger.flow(self._clock.now()))
            except (FleetError, SQLAlchemyError, OSError) as cause:
                _log.warning("the flow is not known: %s", cause)
            await _either(self._every, done, self._look)

    async def _ledger_answers(self) -> bool:
        """A ledger that lets itself be read may still be locked for writing."""
        if self._ledger.stalled > self._slow:
            self.ledger_away()
        if self._away:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ledger.ping(), self._slow)
                self._away = False
                for room in self._rooms.values():
                    room.open(_LEDGER)
        return not self._away

    def _apply(self, view: FlowView) -> None:
        for lane, room in self._rooms.items():
            if lane in view.paused_lanes:
                if not room.closed:
                    _log.info("lane %s is paused", lane)
                room.close(_PAUSED)
            else:
                if room.closed:
                    _log.info("lane %s goes on", lane)
                room.open(_PAUSED)
            if lane in view.ahead and lane not in view.paused_lanes:
                self._ahead[lane].set()
            else:
                self._ahead[lane].clear()


class TakenAhead(Delivery):
    """A task taken from the ledger, not from its queue. There is nothing to settle."""

    def __init__(self, envelope: Envelope, queue: str) -> None:
        self.message, self.queue = encoded(envelope), queue

    @property
    def count(self) -> int:
        return 1

    @property
    def sequence_number(self) -> int:
        return 0

    async def complete(self) -> None:
        """Its message is completed when it comes."""

    async def abandon(self) -> None:
        """Raises SettleFailed: what is released needs a message, and this is none."""
        raise SettleFailed("it was taken ahead of its queue: its message may be gone")

    async def defer(self) -> None:
        """Its message is looked at when it comes."""

    async def dead_letter(self, reason: str, description: str) -> None:
        """Its message is looked at when it comes."""

    async def renew(self) -> None:
        """There is no lock."""


async def _either(seconds: float, *events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
