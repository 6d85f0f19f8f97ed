"""Throughput and success of each lane over the last hour, minute by minute.

A minute that has been over for a while changes no more: it is counted once and kept, so that a
look costs the last few minutes, however busy the hour was.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.states import State
from fleet.ledger.pulse import Pulse

MINUTES = 60
_SETTLED = timedelta(minutes=2)
"""After this a minute is kept as it was counted: clocks of workers differ, transactions wait."""
_MINUTE = timedelta(minutes=1)
_BAD = (State.FAILED, State.DEAD, State.DENIED)


@dataclass(frozen=True, slots=True)
class Trend:
    """One lane's last hour."""

    counts: tuple[int, ...]
    """Tasks that succeeded or failed in each minute, the latest last."""
    failed: tuple[int, ...]
    """Those of them that failed, died or were denied."""

    @property
    def ended(self) -> int:
        return sum(self.counts)

    @property
    def success(self) -> float | None:
        """Share of what ended that did well, 0 to 1; None where nothing ended."""
        return None if not self.ended else 1 - sum(self.failed) / self.ended

    @property
    def per_minute(self) -> float:
        """Tasks a minute, over the last five that are whole."""
        return sum(self.counts[-6:-1]) / 5


NOTHING = Trend(counts=(0,) * MINUTES, failed=(0,) * MINUTES)
_Counted = dict[str, tuple[int, int]]
"""Of one minute: ended and failed, by lane."""


class Trends:
    """Counts, and remembers what it counted."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._kept: dict[datetime, _Counted] = {}
        self._lock = threading.Lock()

    def lanes(self, now: datetime) -> dict[str, Trend]:
        """The last hour by lane; a lane where nothing ended is not among them."""
        last = now.replace(second=0, microsecond=0)
        minutes = [last - _MINUTE * n for n in range(MINUTES - 1, -1, -1)]
        with self._lock:
            counted = self._counted(minutes, now)
        names = {lane for minute in minutes for lane in counted.get(minute, {})}
        return {lane: _trend(lane, minutes, counted) for lane in names}

    def _counted(self, minutes: list[datetime], now: datetime) -> dict[datetime, _Counted]:
        missing = [minute for minute in minutes if minute not in self._kept]
        found: defaultdict[datetime, _Counted] = defaultdict(dict)
        for one in self._pulse.ended(missing[0], now + _MINUTE):
            ended = sum(n for state, n in one.states.items() if state is not State.CANCELLED)
            failed = sum(one.states.get(state, 0) for state in _BAD)
            found[one.minute][one.lane] = ended, failed
        self._kept = {m: kept for m, kept in self._kept.items() if m >= minutes[0]}
        for minute in missing:
            if minute + _MINUTE + _SETTLED < now:
                self._kept[minute] = found[minute]
        return self._kept | {m: found[m] for m in missing}


def _trend(lane: str, minutes: list[datetime], counted: dict[datetime, _Counted]) -> Trend:
    pairs = [counted.get(minute, {}).get(lane, (0, 0)) for minute in minutes]
    return Trend(counts=tuple(e for e, _ in pairs), failed=tuple(f for _, f in pairs))
