"""The outbox relay of the dispatcher: first envelopes of new runs at once, and what a crash left.

Workers relay what they cause themselves; a row that is still there after PATIENCE was left by a
crash or by a bus that was away. Publishing twice is harmless: message ids repeat.
"""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import OutboxRow
from fleet.relay import relay

BATCH = 500
"""Rows relayed in one step."""
PATIENCE = timedelta(seconds=2)
"""How long the process that wrote a row is left to relay it itself."""


class Hurry(Protocol):
    """Told of a run whose first envelopes need not wait, and of their rows where they are known."""

    def __call__(self, run: str, rows: Sequence[OutboxRow] = (), /) -> None: ...


class OutboxRelay:
    """Relays due rows every so many seconds, and those of hurried runs at once."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock, every: float) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        self._hurried: deque[str] = deque()
        self._rows: list[OutboxRow] = []
        self.loop = Supervised("outbox relay", self.step, every)

    def hurry(self, run: str, rows: Sequence[OutboxRow] = ()) -> None:
        """Relay the first envelopes of a run that has just been started, without waiting: `rows`,
        or whatever of it is due."""
        if rows:
            self._rows += rows
        else:
            self._hurried.append(run)
        self.loop.wake()

    async def step(self) -> bool:
        """Relay one batch; whether there may be more. Raises BusUnavailable, LedgerBusy."""
        # Forgotten before they are tried: what fails here is due with the others in a moment.
        if self._rows:
            rows, self._rows = self._rows[:BATCH], self._rows[BATCH:]
            await self.publish(rows)
            return True
        if self._hurried:
            now = self._clock.now()
            run = self._hurried.popleft()
            rows = await self._ledger.due_outbox(BATCH, now + timedelta(microseconds=1), run=run)
            await self.publish(rows)
            return True
        rows = await self._ledger.due_outbox(BATCH, self._clock.now() - PATIENCE)
        await self.publish(rows)
        return len(rows) == BATCH

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Publish rows and note that they are. Raises BusUnavailable, LedgerBusy."""
        await relay(rows, self._bus, self._ledger, self._clock)
