"""Leases: this worker's word that its attempts are alive, renewed together off the handlers' path.

One renewal carries all leases of the process. The ledger answers with those that are lost or whose
cancellation was asked for; their attempts are told to end. The broker's locks are renewed too,
only to spare deliveries: nothing rests on them, and no lease waits for a bus that does not answer.
"""

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.exc import SQLAlchemyError

from fleet.bus.errors import SettleFailed
from fleet.bus.receiver import Delivery
from fleet.clock import Clock
from fleet.ledger.errors import LedgerError
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Claimed

_log = logging.getLogger(__name__)


class End(StrEnum):
    """Why an attempt is told to end before its handler does."""

    LOST = "lost"  # another worker may hold the task: write nothing
    CANCELLED = "cancelled"
    STOPPING = "stopping"  # this worker is


class Lease:
    """One attempt's hold on its task. `ended` is done once it ends, and `end` then says why."""

    def __init__(
        self, claimed: Claimed, delivery: Delivery, seconds: float, until: datetime
    ) -> None:
        self.claimed, self.delivery = claimed, delivery
        self.seconds, self.until = seconds, until
        self.end: End | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.progress: dict[str, int | str | None] = {}
        self._renewing: asyncio.Task[None] | None = None

    def finish(self, why: End) -> None:
        """Tell the attempt to end. The first reason stays."""
        if self.end is None:
            self.end = why
            self.ended.set_result(None)

    def renew_lock(self) -> None:
        """Renew the broker's lock in the background, unless the last time is still under way."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew_lock())

    async def _renew_lock(self) -> None:
        with contextlib.suppress(SettleFailed):
            await self.delivery.renew()


class _Holding:
    """A lease within its block; a class, as a generator for each task costs three times as much."""

    def __init__(self, lease: Lease, held: dict[str, Lease]) -> None:
        self._lease, self._held = lease, held

    def __enter__(self) -> Lease:
        return self._lease

    def __exit__(self, *_: object) -> None:
        task = self._lease.claimed.task
        if self._held.get(task) is self._lease:
            del self._held[task]


class LeaseKeeper:
    """All leases of one worker process."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._held: dict[str, Lease] = {}

    @property
    def held(self) -> tuple[Lease, ...]:
        return tuple(self._held.values())

    def hold(self, claimed: Claimed, delivery: Delivery, seconds: float) -> "_Holding":
        """Keep a claim alive for as long as the block runs, which is given the lease.

        A worker may claim a task again that it still works on, once its own lease has run out: the
        earlier attempt is then lost, and does not take the later one's lease along when it ends.
        """
        if (earlier := self._held.get(claimed.task)) is not None:
            earlier.finish(End.LOST)
        until = self._clock.now() + timedelta(seconds=seconds)
        lease = self._held[claimed.task] = Lease(claimed, delivery, seconds, until)
        if claimed.cancel_requested:
            lease.finish(End.CANCELLED)
        return _Holding(lease, self._held)

    def end_all(self, why: End) -> None:
        for lease in self.held:
            lease.finish(why)

    async def keep(self, every: float, stop: asyncio.Event) -> None:
        """Renew every `every` seconds until `stop`; `every` is well under the shortest lease."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)
            await self.renew()

    async def renew(self) -> None:
        """Renew all leases once. A ledger that does not answer costs nothing until one runs out."""
        leases = [lease for lease in self.held if lease.end is not End.LOST]
        if not leases:
            return
        now = self._clock.now()
        # One length for all: the longest, as a longer lease is never wrong, only slower to expire.
        until = now + timedelta(seconds=max(lease.seconds for lease in leases))
        try:
            told = await self._ledger.renew(
                [(lease.claimed.task, lease.claimed.epoch) for lease in leases], until, now
            )
        except (LedgerError, SQLAlchemyError) as cause:
            _log.warning("leases were not renewed: %s", cause)
            for lease in leases:
                if lease.until <= self._clock.now():
                    lease.finish(End.LOST)
            return
        for lease in leases:
            if lease.claimed.task in told:
                # Lost or cancelled: the handler ends either way, and the epoch decides at record.
                lease.finish(End.CANCELLED)
                continue
            lease.until = until
            lease.renew_lock()
