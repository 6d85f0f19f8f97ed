"""Slots: leave to run under a key, for as long as the claim that holds it runs.

Nothing gives a slot back. Its row names a task and an epoch, and it counts while the task runs at
that epoch: the record that ends the attempt, the sweep of a lease that ran out, the takeover of a
dead worker's task all free it by what they do anyway. So a slot cannot leak.

A task that waited (fleet.ledger.put_off) is promised together with its slot: the row then names the
epoch that the task will have once it is claimed, and counts until then.

A key's row is held while slots under it are given, so that two processes never give the last one
twice. Starts are spaced by one stored time, from when on the next is free: `starts` of them in any
span of `per`, and never more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from contracts.limit import Slot
from contracts.states import CLAIMABLE, State
from fleet.ledger import tables
from fleet.ledger.moves import IDS, chunks
from fleet.ledger.rows import Claim
from fleet.ledger.types import AnyRow

_s, _k, _t, _w = tables.slot.c, tables.slot_key.c, tables.task.c, tables.put_off.c

CLAIMABLE_NOW = or_(*(_t.state == state.value for state in sorted(CLAIMABLE)))
"""Whether the task's state lets it be claimed."""

COUNTS = or_(
    and_(_t.state == State.RUNNING.value, _t.epoch == _s.epoch),
    and_(CLAIMABLE_NOW, _t.attempt == _s.attempt, _t.epoch + 1 == _s.epoch),
)
"""Whether a slot, joined with its task, is held."""

_held = (
    select(_s.key, func.count().label("held"))
    .join(tables.task, _t.task == _s.task)
    .where(_s.key.in_(bindparam("keys", expanding=True)), COUNTS)
    .group_by(_s.key)
)

_own = (
    select(_s.key, _s.task)
    .join(tables.task, _t.task == _s.task)
    .where(_s.task.in_(bindparam("tasks", expanding=True)), COUNTS)
)

STANDS = and_(_w.task == _t.task, _w.attempt == _t.attempt, CLAIMABLE_NOW)
"""Whether what was put off, joined with its task, still waits."""

_waiting = (
    select(_w.key)
    .join(tables.task, STANDS)
    .where(_w.key.in_(bindparam("keys", expanding=True)))
    .distinct()
)

_hold = (
    update(tables.slot_key)
    .where(_k.key == bindparam("b_key"))
    .values(running=bindparam("b_running"), starts=bindparam("b_starts"), per=bindparam("b_per"))
)

_keys = select(_k.key, _k.paced, _k.turn).where(_k.key.in_(bindparam("keys", expanding=True)))

_note = (
    update(tables.slot_key)
    .where(_k.key == bindparam("b_key"))
    .values(paced=bindparam("b_paced"), turn=bindparam("b_turn"))
)

_drop = delete(tables.slot).where(_s.task == bindparam("b_task"))

_standing = select(_t.task, _t.attempt, _t.state, _t.lease_until).where(
    _t.task.in_(bindparam("tasks", expanding=True))
)

LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


@dataclass(slots=True)
class Key:
    """One key while slots under it are given."""

    slot: Slot
    held: int
    paced: datetime
    turn: int

    def full(self) -> bool:
        return self.slot.running is not None and self.held >= self.slot.running

    def start_at(self, now: datetime) -> datetime:
        """When the next start is free: now, or later."""
        return now if self.slot.starts is None else max(self.paced, now)

    def give(self, at: datetime) -> None:
        """Give one slot, for a start at `at`."""
        self.held += 1
        if self.slot.starts is not None:
            spacing = timedelta(microseconds=-(-self.slot.per * 1_000_000 // self.slot.starts))
            self.paced = at + spacing


@dataclass(slots=True)
class Grants:
    """What claims with slots come to: by position, the key that had none left."""

    refused: dict[int, str] = field(default_factory=dict)


def grant(connection: Connection, claims: Sequence[Claim]) -> Grants:
    """Which of `claims` find no slot. Costs nothing where none of them needs any."""
    grants = Grants()
    asked = [(place, one) for place, one in enumerate(claims) if one.slots]
    if not asked:
        return grants
    keys = held_keys(connection, [slot for _, one in asked for slot in one.slots])
    tasks = [one.task for _, one in asked]
    standing = {row.task: row for row in _rows(connection, _standing, tasks)}
    own = {(row.key, row.task) for row in _rows(connection, _own, tasks)}
    crowded = {row.key for row in _keyed(connection, _waiting, list(keys))}
    for place, one in asked:
        row = standing.get(one.task)
        if row is None or not _may_win(row, one):
            continue  # the claim itself says why
        wanted = [keys[slot.key] for slot in one.slots if (slot.key, one.task) not in own]
        none = next(
            (
                key
                for key in wanted
                # Whoever comes now does not overtake those that wait.
                if key.full() or key.start_at(one.now) > one.now or key.slot.key in crowded
            ),
            None,
        )
        if none is not None:
            grants.refused[place] = none.slot.key
            continue
        for key in wanted:
            key.give(one.now)
        own |= {(key.slot.key, one.task) for key in wanted}
    write_keys(connection, keys.values())
    return grants


def _may_win(row: AnyRow, one: Claim) -> bool:
    if row.attempt != one.attempt:
        return False
    lapsed = row.state == State.RUNNING and row.lease_until < one.now
    return lapsed or row.state in CLAIMABLE


def hold_slots(connection: Connection, won: Sequence[tuple[Claim, AnyRow]]) -> None:
    """Write down the slots of the claims that won, by the epoch that they won."""
    with_slots = [(one, row) for one, row in won if one.slots]
    if not with_slots:
        return
    drop(connection, [one.task for one, _ in with_slots])
    add(
        connection,
        [
            (slot.key, row.task, row.attempt, row.epoch)
            for one, row in with_slots
            for slot in unique(one.slots)
        ],
    )


def add(connection: Connection, slots: Sequence[tuple[str, str, int, int]]) -> None:
    """Rows, given as (key, task, attempt, epoch)."""
    for some in chunks(slots):
        connection.execute(
            insert(tables.slot),
            [{"key": k, "task": t, "attempt": a, "epoch": e} for k, t, a, e in some],
        )


def drop(connection: Connection, tasks: Sequence[str]) -> None:
    """Forget the rows of these tasks, held or not."""
    connection.execute(_drop, [{"b_task": task} for task in tasks])


def unique(slots: Iterable[Slot]) -> list[Slot]:
    """Each key once."""
    return list({slot.key: slot for slot in slots}.values())


def held_keys(connection: Connection, slots: Sequence[Slot]) -> dict[str, Key]:
    """The keys of these slots as they stand, held until the transaction ends.

    In the order of their names, so that no two transactions wait for each other.
    """
    wanted = {slot.key: slot for slot in sorted(slots, key=lambda slot: slot.key)}
    if not wanted:
        return {}
    known = {row.key for row in _keyed(connection, _keys, list(wanted))}
    missing = [slot for key, slot in wanted.items() if key not in known]
    if missing:
        connection.execute(
            insert(tables.slot_key),
            [{**slot.model_dump(), "paced": LONG_AGO, "turn": 0} for slot in missing],
        )
    connection.execute(
        _hold,
        [
            {
                "b_key": slot.key,
                "b_running": slot.running,
                "b_starts": slot.starts,
                "b_per": slot.per,
            }
            for slot in wanted.values()
        ],
    )
    held = {row.key: row.held for row in _keyed(connection, _held, list(wanted))}
    return {
        row.key: Key(wanted[row.key], held.get(row.key, 0), row.paced, row.turn)
        for row in _keyed(connection, _keys, list(wanted))
    }


def write_keys(connection: Connection, keys: Iterable[Key]) -> None:
    """Write down how far the keys have come."""
    rows = [{"b_key": key.slot.key, "b_paced": key.paced, "b_turn": key.turn} for key in keys]
    if rows:
        connection.execute(_note, rows)


def held_by_key(connection: Connection, keys: Sequence[str]) -> Mapping[str, int]:
    """How many slots of each key are held."""
    return {row.key: row.held for row in _keyed(connection, _held, keys)}


def _rows(connection: Connection, statement: object, tasks: Sequence[str]) -> list[AnyRow]:
    return [
        row
        for some in chunks(tasks, IDS)
        for row in connection.execute(statement, {"tasks": some})  # type: ignore[call-overload]
    ]


def _keyed(connection: Connection, statement: object, keys: Sequence[str]) -> list[AnyRow]:
    return [
        row
        for some in chunks(keys, IDS)
        for row in connection.execute(statement, {"keys": some})  # type: ignore[call-overload]
    ]
