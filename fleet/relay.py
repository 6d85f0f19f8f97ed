"""Relay: envelopes that the ledger has promised go to the bus, and the ledger is told.

At least once: a crash between the two sends an envelope again, with the same message id, which the
bus drops within its window and the ledger's claim declines after it. Nothing else publishes tasks.
"""

from collections import defaultdict
from collections.abc import Sequence

from contracts.envelope import encoded
from fleet.bus.bus import Bus
from fleet.bus.message import Outgoing
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import OutboxRow


async def relay(rows: Sequence[OutboxRow], bus: Bus, ledger: Ledger, clock: Clock) -> None:
    """Publish rows, grouped by queue, in their order. Raises BusUnavailable; rows then stay due."""
    by_queue: dict[str, list[OutboxRow]] = defaultdict(list)
    for row in rows:
        by_queue[row.queue].append(row)
    for queue, promised in by_queue.items():
        await bus.publish(
            queue,
            [Outgoing(message=encoded(r.envelope), not_before=r.not_before) for r in promised],
        )
        await ledger.mark_relayed([row.seq for row in promised], clock.now())
