"""What time it is, to the broker. Locks, time to live and schedules follow it.

Times are milliseconds since the Unix epoch, UTC, as in AMQP timestamps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """The time, and a call back when it jumps."""

    def now_ms(self) -> int: ...

    def on_jump(self, call: Callable[[], None]) -> None:
        """Have `call` run after each jump, on the thread that jumped."""
        ...


class SystemClock:
    """The machine's clock; it does not jump."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def on_jump(self, call: Callable[[], None]) -> None:
        """Nothing to do: nobody can move this clock."""


class DrivenClock:
    """The machine's clock plus what a test has added to it.

    It goes on by itself, because the client at the other end lives in real time and names its
    schedules in it; a frozen clock would leave `now + 60 s` of the client forever out of reach of
    `advance(60)`. Safe to drive from any thread.
    """

    def __init__(self) -> None:
        self._ahead_ms = 0
        self._calls: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._ahead_ms

    def on_jump(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def advance(self, seconds: float) -> None:
        """Jump forward. Returns when every listener has been told."""
        if seconds < 0:
            raise ValueError("time does not go back: sequence and expiry would disagree")
        self._ahead_ms += round(seconds * 1000)
        self._tell()

    def reset(self) -> None:
        """Back to the machine's time, for a bus that was emptied: what it still held with a time
        of its own would wait for that time anew."""
        self._ahead_ms = 0
        self._tell()

    def _tell(self) -> None:
        for call in self._calls:
            call()
