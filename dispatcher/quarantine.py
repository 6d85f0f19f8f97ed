"""Poison: messages that the broker has set aside by itself are noted, for people to look at.

A message that a process dies of, before it can say why, is handed over as often as its queue allows
and then moved to the dead-letter queue. Nobody of the fleet has seen that happen; here it is found,
and `fleet dead-letters` shows it. Its task, if it has one, the sweep promises again under another
id, until the task's attempts or its run's time are spent.
"""

import logging
from collections.abc import Sequence

from dispatcher.supervised import Supervised
from fleet.bus.bus import Bus, DeadLettered
from fleet.bus.refusal import holds_secret, told_of
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import DeadLetter

EVERY = 30.0
"""Seconds between looks."""
_AT_ONCE = 100

_log = logging.getLogger(__name__)


class Quarantine:
    """Looks at the dead-letter queue of each of `queues`, and notes what is new there."""

    def __init__(
        self, ledger: Ledger, bus: Bus, clock: Clock, queues: Sequence[str], every: float = EVERY
    ) -> None:
        self._ledger, self._bus, self._clock = ledger, bus, clock
        # How far each was looked at. Forgotten by a restart: what is noted already is not again.
        self._seen = dict.fromkeys(queues, 0)
        self.loop = Supervised("quarantine", self.step, every)

    async def step(self) -> bool:
        """One look at each; whether there may be more. Raises BusUnavailable, LedgerBusy."""
        more = False
        for queue, seen in self._seen.items():
            found = await self._bus.dead_lettered(queue, seen, _AT_ONCE)
            for one in found:
                await self._ledger.dead_letter(
                    DeadLetter(
                        queue=queue,
                        message_id=one.message.message_id[:128],
                        sequence_number=one.sequence_number,
                        disposition="dead",
                        reason=one.reason,
                        description=told_of(one.message, one.description),
                        size=len(one.message.body),
                        at=self._clock.now(),
                    )
                )
                await self._drop_if_secret(queue, one)
                self._seen[queue] = one.sequence_number
            more = more or len(found) == _AT_ONCE
        return more

    async def _drop_if_secret(self, queue: str, one: DeadLettered) -> None:
        """Raises BusUnavailable. One that somebody holds just now is dropped after a restart."""
        if holds_secret(one.message):
            async with self._bus.set_aside(queue, one.sequence_number, dead=True) as held:
                if held is not None:
                    await held.drop()
