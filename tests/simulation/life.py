"""The life of one simulated process: it runs, is stopped for a while, jumps in time, or is gone.

A process touches the world only through its ports, and each port call takes a step here. So a
process that is killed does nothing more from that step on, whatever its `finally` blocks try.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Gone(BaseException):
    """This process was killed: no handler of errors may see this."""


@dataclass(slots=True)
class Life:
    """One process from its start to its end. Times in seconds of the loop."""

    name: str
    chance: Random
    slowness: float = 0.05
    """The mean time of a step."""
    dead: bool = False
    stopped_until: float = 0.0
    skew: float = 0.0
    """How far its clock is off."""
    dies_at: str | None = None
    """The point of the executor at which it is killed."""

    async def step(self) -> None:
        """Time passes, perhaps a lot. Raises Gone."""
        if self.dead:
            raise Gone
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.chance.expovariate(1 / self.slowness))
        while loop.time() < self.stopped_until:  # noqa: ASYNC110 - time is all there is to wait for
            await asyncio.sleep(self.stopped_until - loop.time())
        if self.dead:
            raise Gone

    def point(self, name: str) -> None:
        """The executor's fault points: a crash exactly here."""
        if self.dead:
            raise Gone
        if name == self.dies_at:
            self.dead = True
            raise Gone

    def now(self) -> datetime:
        """This process's clock."""
        return START + timedelta(seconds=asyncio.get_running_loop().time() + self.skew)
