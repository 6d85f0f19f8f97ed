"""Relay: envelopes that the ledger has promised go to the bus, and the ledger is told.

At least once: a crash between the two sends an envelope again, with the same message id, which the
bus drops within its window and the ledger's claim declines after it. Nothing else publishes tasks.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from contracts.envelope import encoded
from fleet.bus.bus import Bus
from fleet.bus.message import Outgoing
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import OutboxRow


async def relay(rows: Sequence[OutboxRow], bus: Bus, ledger: Ledger, clock: Clock) -> None:
    """Publish rows, grouped by queue, in their order. Raises BusUnavailable; rows then stay due."""
    async for seqs in _published(rows, bus):
        await ledger.mark_relayed(seqs, clock.now())


async def relay_on_the_way(
    rows: Sequence[OutboxRow], bus: Bus, ledger: Ledger, clock: Clock
) -> None:
    """As `relay`, for who has more to do than to wait until the ledger has noted it. What it does
    not note is published twice."""
    async for seqs in _published(rows, bus):
        ledger.put_relayed(seqs, clock.now())


async def _published(rows: Sequence[OutboxRow], bus: Bus) -> AsyncIterator[list[int]]:
    by_queue: dict[str, list[OutboxRow]] = defaultdict(list)
    for row in rows:
        by_queue[row.queue].append(row)
    for queue, promised in by_queue.items():
        await bus.publish(
            queue,
            [Outgoing(message=encoded(r.envelope), not_before=r.not_before) for r in promised],
        )
        yield [row.seq for row in promised]
