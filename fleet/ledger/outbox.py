"""The outbox: envelopes that the ledger has promised and the bus has not yet taken.

Rows are written with the fact that causes them and relayed later, at least once. Duplicates carry
the same message id. Nothing else in the fleet publishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, bindparam, exists, select, update

from contracts.envelope import Envelope
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.many import execute_many
from fleet.ledger.moves import chunks
from fleet.ledger.pauses import active, nothing_paused, nothing_paused_of_outbox
from fleet.ledger.rows import FlowView, OutboxRow

_o, _t, _w = tables.outbox.c, tables.task.c, tables.put_off.c

_due = (
    select(_o.seq, _o.queue, _o.run, _o.envelope, _o.not_before, _o.again)
    .where(tables.DUE, _o.promised < bindparam("older_than"), nothing_paused_of_outbox())
    .order_by(_o.rank, _o.seq)
    .limit(bindparam("limit"))
)

_due_of_run = _due.where(_o.run == bindparam("run"))

_relayed = (
    update(tables.outbox)
    .where(_o.seq == bindparam("b_seq"), tables.DUE)
    .values(relayed=bindparam("b_now"))
)


_ahead = (
    select(_o.envelope)
    .join(tables.task, and_(_t.task == _o.task, _t.attempt == _o.attempt))
    .where(
        tables.AHEAD,
        _t.lane == bindparam("lane"),
        _t.queued <= bindparam("now"),
        ~exists().where(_w.task == _t.task),
        nothing_paused(),
    )
    .order_by(_t.ahead, _t.queued, _t.task)
    .limit(bindparam("limit"))
)

_lanes_ahead = (
    select(_t.lane)
    .where(tables.AHEAD, _t.queued <= bindparam("now"), ~exists().where(_w.task == _t.task))
    .distinct()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """Rows that the bus has taken."""

    seqs: tuple[int, ...]
    now: datetime


def due(
    engine: Engine, limit: int, older_than: datetime, run: str | None = None
) -> list[OutboxRow]:
    """Rows promised before `older_than` and not known to be relayed: the urgent ones first, then in
    the order of promising. What is paused is left out."""
    asked = {"limit": limit, "older_than": older_than} | ({"run": run} if run else {})
    with engine.connect() as connection:
        rows = connection.execute(_due_of_run if run else _due, asked).all()
    return [
        OutboxRow(
            seq=row.seq,
            queue=row.queue,
            run=row.run,
            text=row.envelope,
            again=row.again,
            not_before=row.not_before,
        )
        for row in rows
    ]


def ahead(engine: Engine, lane: str, now: datetime, limit: int) -> list[Envelope]:
    """Tasks of a lane that workers take ahead of its queue, the most urgent first."""
    with engine.connect() as connection:
        rows = connection.execute(_ahead, {"lane": lane, "now": now, "limit": limit}).scalars()
        return [Envelope.model_validate_json(text) for text in rows]


def flow(engine: Engine, now: datetime) -> FlowView:
    """What is paused, and which lanes have tasks to take ahead of their queues."""
    with engine.connect() as connection:
        paused = active(connection)
        lanes = connection.execute(_lanes_ahead, {"now": now}).scalars().all()
    return FlowView(
        paused_lanes=frozenset(name for what, name in paused if what == "lane"),
        paused_pipelines=frozenset(name for what, name in paused if what == "pipeline"),
        ahead=frozenset(lanes),
    )


def mark_relayed(connection: Connection, batch: Sequence[Relayed]) -> Sequence[LedgerError | None]:
    """Note when the bus took each row; the first note stands."""
    rows = [{"b_seq": seq, "b_now": one.now} for one in batch for seq in one.seqs]
    for some in chunks(rows):
        execute_many(connection, _relayed, some)
    return [None] * len(batch)
