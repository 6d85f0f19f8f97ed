"""Liveness by progress: a worker is well while its lanes receive what there is to receive.

A process that runs and a socket that stands prove little: receivers have gone deaf and looked well.
So a lane counts as deaf when the ledger has a task queued and the bus holds a message for longer
than `silence`, and this worker, with room to spare, has taken or finished nothing in all that time.
The answer is a file, written again every few seconds; `python -m workers.health FILE` is the probe.
What is deaf is ended by whoever probes: correctness never rests on it.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the probe starts often and reads one file: it imports nothing of the fleet
    from contracts.lane import Lane
    from fleet.bus.bus import Bus
    from fleet.clock import Clock
    from fleet.ledger.reader import LedgerReader

_log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=2)
EVERY = 10.0
"""Seconds between two looks."""
STALE = 60.0
"""Seconds after which a file that nobody wrote tells of a process that hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the file says. `left_behind`: threads of handlers that would not end."""

    well: bool
    deaf: tuple[str, ...]
    left_behind: int


@dataclass(slots=True)
class _Lane:
    concurrency: int
    moved: datetime
    """When it last took or finished a delivery."""
    running: int = 0


class Watch:
    """Sees what the lanes of one worker take, and compares it with what there is to take."""

    def __init__(
        self,
        lanes: "Sequence[Lane]",
        *,
        reader: "LedgerReader",
        bus: "Bus",
        clock: "Clock",
        left_behind: Callable[[], int],
        silence: timedelta = SILENCE,
        paused: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._reader, self._bus, self._clock = reader, bus, clock
        self._left_behind, self._silence, self._paused = left_behind, silence, paused
        now = clock.now()
        self._lanes = {lane.name: _Lane(lane.concurrency, now) for lane in lanes}
        self._queues = {lane.name: lane.queue for lane in lanes}

    def took(self, lane: str) -> None:
        """A delivery of the lane has come."""
        watched = self._lanes[lane]
        watched.running, watched.moved = watched.running + 1, self._clock.now()

    def finished(self, lane: str) -> None:
        """It is settled, or given up."""
        watched = self._lanes[lane]
        watched.running, watched.moved = watched.running - 1, self._clock.now()

    @property
    def running(self) -> int:
        """Deliveries in hand."""
        return sum(lane.running for lane in self._lanes.values())

    @property
    def idle_since(self) -> datetime | None:
        """When the last delivery came or went; None while one is in hand."""
        return None if self.running else max(lane.moved for lane in self._lanes.values())

    async def look(self) -> Health:
        """How the worker is. A ledger or bus that cannot be asked proves nothing against it."""
        before = self._clock.now() - self._silence
        still = [
            name
            for name, lane in self._lanes.items()
            if lane.running < lane.concurrency and lane.moved < before and not self._paused(name)
        ]
        deaf = []
        if still:
            waiting = await asyncio.to_thread(self._waiting, before)
            for name in still:
                if name in waiting and await self._bus_holds(self._queues[name], before):
                    deaf.append(name)
                    _log.error("lane %s has work and receives none of it", name)
        return Health(well=not deaf, deaf=tuple(deaf), left_behind=self._left_behind())

    async def keep(self, file: Path, done: asyncio.Event) -> None:
        """Write the file every few seconds until `done`."""
        while not done.is_set():
            write(file, await self.look())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), EVERY)

    def _waiting(self, before: datetime) -> set[str]:
        from sqlalchemy.exc import SQLAlchemyError

        from fleet.errors import FleetError

        try:
            rows = self._reader.lanes()
        except (FleetError, SQLAlchemyError) as cause:
            _log.warning("health: the ledger cannot be asked: %s", cause)
            return set()
        return {row.lane for row in rows if row.oldest_queued and row.oldest_queued < before}

    async def _bus_holds(self, queue: str, before: datetime) -> bool:
        from fleet.bus.errors import BusUnavailable

        try:
            oldest = await self._bus.oldest(queue)
        except BusUnavailable as cause:
            _log.warning("health: the bus cannot be asked: %s", cause)
            return False
        return oldest is not None and oldest < before


def write(file: Path, health: Health) -> None:
    """Whole or not at all. A full disk leaves the old file, which goes stale."""
    part = file.with_suffix(f".{os.getpid()}.part")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(asdict(health)) + "\n", encoding="utf-8")
        part.replace(file)


def probe(file: Path, now: float) -> tuple[bool, str]:
    """Whether the worker that writes `file` is well at `now` (seconds since 1970), and why not."""
    try:
        age = now - file.stat().st_mtime
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False, "the worker has not said how it is"
    if age > STALE:
        return False, f"the worker has said nothing for {age:.0f} s"
    if not said.get("well"):
        return False, f"lanes that have work and receive none: {', '.join(said.get('deaf', ()))}"
    return True, f"well; {said.get('left_behind', 0)} handlers left behind"


def main() -> int:
    """`python -m workers.health FILE`: exit code 0 while the worker is well, else 1."""
    well, words = probe(Path(sys.argv[1]), time.time())
    sys.stdout.write(words + "\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
