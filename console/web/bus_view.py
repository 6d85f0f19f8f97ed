"""Queue depths as the bus tells them, asked for behind the pages: no page waits for the bus."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleet.clock import Clock

if TYPE_CHECKING:
    from fleet.bus.admin import Counts

FRESH = timedelta(seconds=1)
"""How old an answer may be before the bus is asked again."""
_log = logging.getLogger("console")
Ask = Callable[[], "dict[str, Counts]"]


@dataclass(frozen=True, slots=True)
class Depths:
    """What the bus said last."""

    queues: "dict[str, Counts]" = field(default_factory=dict)
    at: datetime | None = None
    """When; None where it never answered."""
    trouble: str = ""
    """Why it did not answer the last time."""


class BusView:
    """Asks in a thread of its own, one question at a time. `ask`: None where no bus is known."""

    def __init__(self, ask: Ask | None, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._depths = Depths(trouble="" if ask else "no bus is set: see FLEET_BUS_CONNECTION")
        self._asking = threading.Lock()
        self._apart: dict[str, datetime] = {}

    def depths(self) -> Depths:
        """What is known now. Where that is old, the bus is asked, and the next look sees more."""
        told = self._depths
        stale = told.at is None or self._clock.now() - told.at > FRESH
        if self._ask is not None and stale and self._asking.acquire(blocking=False):
            threading.Thread(target=self._refresh, args=(self._ask,), daemon=True).start()
        return told

    def refreshed(self) -> Depths:
        """What the bus says now. Waits for it."""
        if self._ask is not None:
            self._asking.acquire()
            self._refresh(self._ask)
        return self._depths

    def apart(self, queue: str, *, apart: bool, now: datetime) -> datetime | None:
        """Since when a queue has been seen to differ from the ledger, look after look."""
        if not apart:
            self._apart.pop(queue, None)
            return None
        return self._apart.setdefault(queue, now)

    def _refresh(self, ask: Ask) -> None:
        try:
            self._depths = Depths(queues=ask(), at=self._clock.now())
        except Exception as cause:  # the bus is not this page's to mend; it is said on it
            _log.warning("the bus does not tell its depths: %s", type(cause).__name__)
            said = "the bus does not answer"
            self._depths = Depths(queues=self._depths.queues, at=self._depths.at, trouble=said)
        finally:
            self._asking.release()
