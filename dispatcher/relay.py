"""The outbox relay of the dispatcher: first envelopes of new runs at once, and what a crash left.

Workers relay what they cause themselves; a row that is still there after PATIENCE was left by a
crash or by a bus that was away. Publishing twice is harmless: message ids repeat.
"""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta

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


class OutboxRelay:
    """Relays due rows every so many seconds, and those of hurried runs at once."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock, every: float) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        self._hurried: deque[str] = deque()
        self.loop = Supervised("outbox relay", self.step, every)

    def hurry(self, run: str) -> None:
        """Relay the first envelopes of a run that has just been started, without waiting."""
        self._hurried.append(run)
        self.loop.wake()

    async def step(self) -> bool:
        """Relay one batch; whether there may be more. Raises BusUnavailable, LedgerBusy."""
        if self._hurried:
            now = self._clock.now()
            # Forgotten before it is tried: what fails here is due with the others in a moment.
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
