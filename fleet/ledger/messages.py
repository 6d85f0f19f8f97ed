"""Messages set aside that are taken up again: which are wanted; who took one up, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, null, select, update

from contracts.fact import JsonObject
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.rows import AsideMessage
from fleet.ledger.take_up import a_kind, known_kinds
from fleet.ledger.types import AnyRow, as_json

_d = tables.dead_letter.c

_COLUMNS = (_d.queue, _d.message_id, _d.sequence_number, _d.disposition, _d.kind, _d.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTakenUp:
    """A message went to its queue again, as `became`; or it was gone (`became` is None)."""

    queue: str
    sequence_number: int
    became: str | None
    job: str
    """The id under which this is kept among the redrives."""
    actor: str
    reason: str
    edit: tuple[JsonObject, ...]
    now: datetime


def note_taken_up(
    connection: Connection, batch: Sequence[MessageTakenUp]
) -> Sequence[bool | LedgerError]:
    """Note each once: whether it stood as a dead letter till now."""
    return [_note(connection, one) for one in batch]


def aside(engine: Engine, queue: str, sequence_number: int) -> AsideMessage | None:
    """The message that was noted as not taken, unless it has been taken up since."""
    wanted = (_d.queue == queue, _d.sequence_number == sequence_number, _d.taken_up.is_(null()))
    with engine.connect() as connection:
        row = connection.execute(select(*_COLUMNS).where(*wanted).order_by(_d.message_id)).first()
    return None if row is None else _a_message(row)


def parked_and_known(engine: Engine, limit: int) -> list[AsideMessage]:
    """Parked messages of a kind that a live worker of their lane knows."""
    query = (
        select(*_COLUMNS)
        .where(_d.disposition == "parked", _d.taken_up.is_(null()), _d.kind.is_not(None))
        .order_by(_d.queue, _d.sequence_number, _d.message_id)
    )
    with engine.connect() as connection:
        parked = connection.execute(query).all()
        known = known_kinds(connection) if parked else {}
    found = [
        _a_message(row)
        for row in parked
        if (row.queue.removeprefix("lane-"), a_kind(row.kind, row.version)) in known
    ]
    return found[:limit]


def _note(connection: Connection, one: MessageTakenUp) -> bool:
    moved = connection.execute(
        update(tables.dead_letter)
        .where(
            _d.queue == one.queue,
            _d.sequence_number == one.sequence_number,
            _d.taken_up.is_(null()),
        )
        .values(taken_up=one.now, became=one.became)
    )
    if not moved.rowcount:
        return False
    sent = one.became is not None
    name = f"{one.queue}/{one.sequence_number}"
    job: dict[str, Any] = {
        "job": one.job,
        "state": "done",
        "actor": one.actor,
        "reason": one.reason,
        "selection": {"message": name},
        "per_second": None,
        "total": 1,
        "redriven": int(sent),
        "refused": int(not sent),
        "asked": one.now,
        "paced": one.now,
        "ended": one.now,
    }
    item = {
        "job": one.job,
        "position": 0,
        "queue": one.queue,
        "sequence_number": one.sequence_number,
        "state": "redriven" if sent else "refused",
        "became": one.became,
        "at": one.now,
        "note": f"edited: {as_json(one.edit)}" if sent else "it is not on the bus any more",
    }
    connection.execute(insert(tables.redrive_job), job)
    connection.execute(insert(tables.redrive_item), item)
    return True


def _a_message(row: AnyRow) -> AsideMessage:
    return AsideMessage.model_validate(row._asdict())
