"""The outbox: envelopes that the ledger has promised and the bus has not yet taken.

Rows are written with the fact that causes them and relayed later, at least once. Duplicates carry
the same message id. Nothing else in the fleet publishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, select, update

from contracts.envelope import Envelope
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.many import execute_many
from fleet.ledger.moves import chunks
from fleet.ledger.rows import OutboxRow

_o = tables.outbox.c

_due = (
    select(_o.seq, _o.queue, _o.envelope, _o.not_before)
    .where(tables.DUE, _o.promised < bindparam("older_than"))
    .order_by(_o.seq)
    .limit(bindparam("limit"))
)

_due_of_run = _due.where(_o.run == bindparam("run"))

_relayed = (
    update(tables.outbox)
    .where(_o.seq == bindparam("b_seq"), tables.DUE)
    .values(relayed=bindparam("b_now"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """Rows that the bus has taken."""

    seqs: tuple[int, ...]
    now: datetime


def due(
    engine: Engine, limit: int, older_than: datetime, run: str | None = None
) -> list[OutboxRow]:
    """Rows promised before `older_than` and not known to be relayed, in the order of promising."""
    asked = {"limit": limit, "older_than": older_than} | ({"run": run} if run else {})
    with engine.connect() as connection:
        rows = connection.execute(_due_of_run if run else _due, asked).all()
    return [
        OutboxRow(
            seq=row.seq,
            queue=row.queue,
            envelope=Envelope.model_validate_json(row.envelope),
            not_before=row.not_before,
        )
        for row in rows
    ]


def mark_relayed(connection: Connection, batch: Sequence[Relayed]) -> Sequence[LedgerError | None]:
    """Note when the bus took each row; the first note stands."""
    rows = [{"b_seq": seq, "b_now": one.now} for one in batch for seq in one.seqs]
    for some in chunks(rows):
        execute_many(connection, _relayed, some)
    return [None] * len(batch)
