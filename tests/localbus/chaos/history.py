"""What clients saw of each message, and what that obliges the bus to. Pure but for a lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True)
class History:
    """Messages by id. Every method may be called from any thread."""

    _lock: Lock = field(default_factory=Lock)
    sending: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    completing: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    _wrong: list[str] = field(default_factory=list)

    def send_begins(self, message: str) -> None:
        with self._lock:
            self.sending.add(message)

    def send_acknowledged(self, message: str) -> None:
        with self._lock:
            self.sent.add(message)

    def received(self, message: str) -> None:
        """Before its completion begins."""
        with self._lock:
            if message in self.completed:
                self._wrong.append(f"{message} was completed and came back")
            if message not in self.sending:
                self._wrong.append(f"{message} was never sent")

    def complete_begins(self, message: str) -> None:
        with self._lock:
            self.completing.add(message)

    def complete_acknowledged(self, message: str) -> None:
        with self._lock:
            self.completed.add(message)

    def violations(self, found: list[str]) -> list[str]:
        """What was promised and not kept, given all that the bus holds in the end.

        Sent and acknowledged means there, unless its completion was begun: then, as when a send was
        cut off, either is right. Completed and acknowledged means gone. Nothing is there twice.
        """
        with self._lock:
            wrong = list(self._wrong)
            there = set(found)
            wrong += [
                f"{each} was acknowledged and lost" for each in self.sent - self.completing - there
            ]
            wrong += [f"{each} was completed and is there" for each in self.completed & there]
            wrong += [f"{each} was never sent" for each in there - self.sending]
            wrong += [f"{each} is there twice" for each in there if found.count(each) > 1]
            return sorted(wrong)
