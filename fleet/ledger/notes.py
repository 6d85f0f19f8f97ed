"""Notes that move nothing: workers that are alive, messages not taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from contracts.fact import JsonObject
from contracts.fingerprint import fingerprint
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.rows import DeadLetter
from fleet.telemetry.redact import redacted

_w, _d = tables.worker.c, tables.dead_letter.c

_see = (
    update(tables.worker)
    .where(_w.worker == bindparam("b_worker"))
    .values(
        lanes=bindparam("b_lanes"),
        facts=bindparam("b_facts"),
        last_seen=bindparam("b_now"),
        gone=False,
    )
    .returning(_w.drain_asked)
)

_noted = select(_d.message_id).where(
    _d.queue == bindparam("queue"),
    _d.message_id == bindparam("message_id"),
    _d.sequence_number == bindparam("sequence_number"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A worker that is alive, the lanes it serves, and small facts about it."""

    worker: str
    lanes: tuple[str, ...]
    now: datetime
    facts: JsonObject


def see_workers(connection: Connection, batch: Sequence[Seen]) -> Sequence[bool | LedgerError]:
    """Note that workers are alive, and tell each whether it is to drain. One that was thought gone
    is back."""
    answers = []
    for seen in batch:
        told: dict[str, Any] = {
            "b_worker": seen.worker,
            "b_lanes": sorted(seen.lanes),
            "b_facts": seen.facts,
            "b_now": seen.now,
        }
        row = connection.execute(_see, told).first()
        answers.append(row is not None and row.drain_asked is not None)
        if row is None:
            connection.execute(
                insert(tables.worker),
                {
                    "worker": seen.worker,
                    "lanes": sorted(seen.lanes),
                    "facts": seen.facts,
                    "first_seen": seen.now,
                    "last_seen": seen.now,
                    "gone": False,
                },
            )
    return answers


def note_dead_letters(
    connection: Connection, letters: Sequence[DeadLetter]
) -> Sequence[LedgerError | None]:
    """Note messages that could not be taken, each once."""
    for letter in letters:
        told = letter.model_dump()
        # The sender's words, all three: of a message that nobody could read, too.
        for name in ("message_id", "reason", "description"):
            told[name] = redacted(told[name])
        if connection.execute(_noted, told).first() is None:
            told["fingerprint"] = fingerprint(told["reason"], told["description"])
            connection.execute(insert(tables.dead_letter), told)
    return [None] * len(letters)
