"""Draining a worker: asked for here, told to it with its next heartbeat, done by itself.

A worker that never comes back to hear of it is gone; what it had leased is swept up as always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from contracts.fact import Fact
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError, UnknownRow, WorkerGone

_w = tables.worker.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Who has which worker stop, and why."""

    worker: str
    actor: str
    reason: str
    now: datetime


class Drained(Fact):
    """How it stands now."""

    worker: str
    changed: bool
    """False where it was asked to already: the first who asked stands."""


def drain_workers(
    connection: Connection, asked: Sequence[Drain]
) -> Sequence[Drained | LedgerError]:
    """Ask workers to stop. UnknownRow, WorkerGone."""
    return [_drain(connection, one) for one in asked]


def _drain(connection: Connection, asked: Drain) -> Drained | LedgerError:
    this = _w.worker == asked.worker
    changed = connection.execute(
        update(tables.worker)
        .where(this, ~_w.gone, _w.drain_asked.is_(None))
        .values(drain_asked=asked.now, drained_by=asked.actor, drain_reason=asked.reason)
    ).rowcount
    if not changed:
        row = connection.execute(select(_w.gone).where(this)).first()
        if row is None:
            return UnknownRow(f"there is no worker {asked.worker}")
        if row.gone:
            return WorkerGone(f"worker {asked.worker} is gone already; nothing was asked of it")
    return Drained(worker=asked.worker, changed=bool(changed))
