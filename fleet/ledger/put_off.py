"""What is put off: tasks that could run but for a slot, or for a pause.

A message that finds no slot is completed, and its task waits in the ledger: nothing spins on the
queue, no attempt is spent, no delivery is counted. It is promised again, under another message id,
when it may run: at once by the record that frees a slot, else by the dispatcher's next look, which
also sees what no record tells (a holder that died, a pause that ended, a start that came due).

Who waits is served by rank, and within a rank by turns: each tenant's next task gets the turn after
the tenant's last, but none before the turn that is being served. So a tenant that waits with
thousands does not keep one out that comes with its first (start-time fair queueing; Goyal, Vin and
Cheng, 1996).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from contracts.limit import Slot
from fleet.ledger import tables
from fleet.ledger.errors import LedgerError
from fleet.ledger.moves import IDS, an_event, append_events, chunks, new_token
from fleet.ledger.pauses import active, key_of
from fleet.ledger.promise import PROMISED, USUAL, a_promise, promise, take_back
from fleet.ledger.rows import Claim, OutboxRow, SlotRow, Woken
from fleet.ledger.runs import facts_of
from fleet.ledger.slots import (
    CLAIMABLE_NOW,
    COUNTS,
    STANDS,
    Key,
    add,
    drop,
    held_keys,
    unique,
    write_keys,
)
from fleet.ledger.types import AnyRow

AHEAD_OF = timedelta(seconds=2)
"""Starts that come due within so long are promised now, to be delivered then."""
LIMIT = 256
"""Tasks that one call promises."""
KEYS = 100
"""Keys that one call looks at."""
ACTOR = "dispatcher"

_SLOTS = TypeAdapter(tuple[Slot, ...])

_t, _w, _k, _s = tables.task.c, tables.put_off.c, tables.slot_key.c, tables.slot.c

_turns = (
    select(_w.key, _w.tenant, func.max(_w.turn).label("turn"))
    .where(_w.key.in_(bindparam("keys", expanding=True)))
    .group_by(_w.key, _w.tenant)
)

_served = select(_k.key, _k.turn).where(_k.key.in_(bindparam("keys", expanding=True)))

_tasks = select(_t.task, _t.run, _t.lane, _t.state).where(
    _t.task.in_(bindparam("tasks", expanding=True))
)

_forget = delete(tables.put_off).where(_w.task == bindparam("b_task"))

_rekey = update(tables.put_off).where(_w.task == bindparam("b_task")).values(key=bindparam("b_key"))

_stale = delete(tables.put_off).where(
    _w.key.in_(bindparam("keys", expanding=True)), ~exists().where(STANDS)
)

_place = (
    func.row_number().over(partition_by=_w.key, order_by=(_w.rank, _w.turn, _w.task)).label("place")
)

_found = (
    select(
        *PROMISED,
        _t.state,
        _t.epoch,
        _w.pipeline,
        _w.key,
        _w.rank,
        _w.turn,
        _w.slots,
        _place,
    )
    .join(tables.task, STANDS)
    .where(_w.key.in_(bindparam("keys", expanding=True)))
    .subquery()
)

_next = (
    select(_found)
    .where(_found.c.place <= bindparam("limit"))
    .order_by(_found.c.place, _found.c.rank, _found.c.turn, _found.c.task)
    .limit(bindparam("limit"))
)

_wake_task = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"), _t.attempt == bindparam("b_attempt"), CLAIMABLE_NOW)
    .values(queued=bindparam("b_at"), ahead=bindparam("b_ahead"), token=bindparam("b_token"))
)

_woken = select(_t.task, _t.token).where(_t.task.in_(bindparam("tasks", expanding=True)))


# --- putting off ----------------------------------------------------------------------------------


def put_off(
    connection: Connection, refused: Sequence[tuple[Claim, str | None]]
) -> list[str | None]:
    """Let the tasks of these claims wait. `None` for a key: for the end of the pause that is on.

    Gives what each waits for; None where there is no pause after all.
    """
    tasks = [one.task for one, _ in refused]
    rows = {
        row.task: row
        for some in chunks(tasks, IDS)
        for row in connection.execute(_tasks, {"tasks": some})
    }
    heads = {run: facts.head for run, facts in facts_of(connection, _runs(rows)).items()}
    paused = active(connection) if any(key is None for _, key in refused) else set()
    waits: list[tuple[Claim, AnyRow, str]] = []
    keys: list[str | None] = []
    for one, full in refused:
        row = rows[one.task]
        key = full or _pause_of(row.lane, heads[row.run]["pipeline"], paused)
        keys.append(key)
        if key is not None:
            waits.append((one, row, key))
    _write(connection, waits, heads)
    return keys


def _runs(rows: dict[str, AnyRow]) -> list[str]:
    return [row.run for row in rows.values()]


def _pause_of(lane: str, pipeline: str, paused: set[tuple[str, str]]) -> str | None:
    for what, name in (("lane", lane), ("pipeline", pipeline)):
        if (what, name) in paused:
            return key_of(what, name)
    return None


def _write(
    connection: Connection,
    waits: Sequence[tuple[Claim, AnyRow, str]],
    heads: dict[str, dict[str, Any]],
) -> None:
    if not waits:
        return
    connection.execute(_forget, [{"b_task": one.task} for one, _, _ in waits])
    drop(connection, [one.task for one, _, _ in waits])
    turns = _Turns(connection, sorted({key for _, _, key in waits}))
    rows = {}
    for one, row, key in waits:
        head = heads[row.run]
        rows[one.task] = {
            "task": one.task,
            "attempt": one.attempt,
            "run": row.run,
            "lane": row.lane,
            "pipeline": head["pipeline"],
            "tenant": head["scope"]["tenant"],
            "key": key,
            "rank": 9 - head["priority"],
            "turn": turns.next(key, head["scope"]["tenant"]),
            "since": one.now,
            "slots": _SLOTS.dump_python(one.slots, mode="json", exclude_defaults=True),
        }
    connection.execute(insert(tables.put_off), list(rows.values()))
    append_events(
        connection,
        [
            an_event(
                at=one.now,
                run=row.run,
                task=one.task,
                actor=one.worker,
                old=None,
                new=row.state,
                detail=f"put off; waits for {key}",
            )
            for one, row, key in waits
        ],
    )


class _Turns:
    """The turns that are given out under some keys."""

    def __init__(self, connection: Connection, keys: Sequence[str]) -> None:
        self._served: dict[str, int] = {}
        self._last: dict[tuple[str, str], int] = {}
        for some in chunks(keys, IDS):
            for served in connection.execute(_served, {"keys": some}):
                self._served[served.key] = served.turn
            for last in connection.execute(_turns, {"keys": some}):
                self._last[last.key, last.tenant] = last.turn

    def next(self, key: str, tenant: str) -> int:
        turn = max(self._served.get(key, 0), self._last.get((key, tenant), 0)) + 1
        self._last[key, tenant] = turn
        return turn


# --- waking ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Promise what waits under these keys and may run now."""

    keys: tuple[str, ...]
    now: datetime
    limit: int = LIMIT


def wake(connection: Connection, asked: Sequence[Wake]) -> Sequence[Woken | LedgerError]:
    """What each promised."""
    return [wake_keys(connection, one.keys, one.now, one.limit) for one in asked]


@dataclass(frozen=True, slots=True)
class _Chosen:
    row: AnyRow
    at: datetime
    slots: tuple[Slot, ...]
    """Those it is given; none for what a pause had put off, which asks when it is claimed."""


def wake_keys(
    connection: Connection, keys: Sequence[str], now: datetime, limit: int = LIMIT
) -> Woken:
    """Promise what waits under `keys` and may run now, in its turn; at most `limit` tasks."""
    keys = list(keys)[:IDS]
    connection.execute(_stale, {"keys": keys})
    found = connection.execute(_next, {"keys": keys, "limit": limit}).all()
    if not found:
        return Woken(tasks=0, more=False)
    chosen, moved = _choose(connection, found, now)
    if moved:
        connection.execute(_rekey, [{"b_task": task, "b_key": key} for task, key in moved])
    if not chosen:
        return Woken(tasks=0, more=bool(moved))
    outbox = _promise(connection, chosen, now)
    return Woken(tasks=len(chosen), more=len(found) == limit, outbox=tuple(outbox))


def _choose(
    connection: Connection, found: Sequence[AnyRow], now: datetime
) -> tuple[list[_Chosen], list[tuple[str, str]]]:
    """Who may go, each with the slots it is given; and who waits for something else, by now."""
    paused = active(connection)
    slots = {row.task: unique(_SLOTS.validate_python(row.slots)) for row in found}
    keys = held_keys(connection, [slot for row in found for slot in slots[row.task]])
    chosen: list[_Chosen] = []
    moved: list[tuple[str, str]] = []
    for row in sorted(found, key=lambda row: (row.rank, row.turn, row.task)):
        pause = _pause_of(row.lane, row.pipeline, paused)
        if pause is not None:
            if pause != row.key:
                moved.append((row.task, pause))
            continue
        if row.key not in keys:
            chosen.append(_Chosen(row, now, ()))  # its pause has ended
            continue
        needed = [keys[slot.key] for slot in slots[row.task]]
        blocking = next((key for key in needed if _blocks(key, now)), None)
        if blocking is not None:
            if blocking.slot.key != row.key:
                moved.append((row.task, blocking.slot.key))
            continue
        at = max(key.start_at(now) for key in needed)
        for key in needed:
            key.give(at)
        keys[row.key].turn = max(keys[row.key].turn, row.turn)
        chosen.append(_Chosen(row, at, tuple(slots[row.task])))
    write_keys(connection, keys.values())
    return chosen, moved


def _blocks(key: Key, now: datetime) -> bool:
    return key.full() or key.start_at(now) > now + AHEAD_OF


def _promise(connection: Connection, chosen: Sequence[_Chosen], now: datetime) -> list[OutboxRow]:
    token = new_token()
    connection.execute(
        _wake_task,
        [
            {
                "b_task": one.row.task,
                "b_attempt": one.row.attempt,
                "b_at": one.at,
                # With a slot of its own it does not stand behind others that have none.
                "b_ahead": one.row.rank if one.slots or one.row.rank < USUAL else None,
                "b_token": token,
            }
            for one in chosen
        ],
    )
    tasks = [one.row.task for one in chosen]
    won = {
        row.task
        for some in chunks(tasks, IDS)
        for row in connection.execute(_woken, {"tasks": some})
        if row.token == token
    }
    chosen = [one for one in chosen if one.row.task in won]
    connection.execute(_forget, [{"b_task": task} for task in tasks])
    drop(connection, tasks)
    add(
        connection,
        [
            (slot.key, one.row.task, one.row.attempt, one.row.epoch + 1)
            for one in chosen
            for slot in one.slots
        ],
    )
    append_events(
        connection,
        [
            an_event(
                at=now,
                run=one.row.run,
                task=one.row.task,
                actor=ACTOR,
                old=None,
                new=one.row.state,
                detail=f"{'has its slot' if one.slots else 'may run again'}: {one.row.key}",
            )
            for one in chosen
        ],
    )
    take_back(connection, [(one.row.task, one.row.attempt) for one in chosen])
    promises = [
        a_promise(one.row, not_before=one.at if one.at > now else None, again=True)
        for one in chosen
    ]
    return promise(connection, promises, facts_of(connection, [p.run for p in promises]), now)


# --- looking --------------------------------------------------------------------------------------

_crowds = select(_w.key, func.count().label("waiting")).group_by(_w.key).order_by(_w.key)

_all_keys = (
    select(_k.key, _k.running, _k.starts, _k.per, _k.paced)
    .where(_k.key.in_(select(_w.key)))
    .order_by(_k.key)
)

_all_held = (
    select(_s.key, func.count().label("held"))
    .join(tables.task, _t.task == _s.task)
    .where(COUNTS)
    .group_by(_s.key)
)


def wakeable(engine: Engine, now: datetime) -> tuple[str, ...]:
    """Keys under which something waits that may run now. Writes nothing."""
    with engine.connect() as connection:
        waiting = [row.key for row in connection.execute(_crowds)]
        if not waiting:
            return ()
        paused = {key_of(what, name) for what, name in active(connection)}
        limits = {row.key: row for row in connection.execute(_all_keys)}
        held = {row.key: row.held for row in connection.execute(_all_held)}
    return tuple(
        key
        for key in waiting
        if key not in paused and _has_room(limits.get(key), held.get(key, 0), now)
    )[:KEYS]


def _has_room(row: AnyRow | None, held: int, now: datetime) -> bool:
    if row is None:
        return True  # a pause that has ended
    full = row.running is not None and held >= row.running
    return not full and (row.starts is None or row.paced <= now + AHEAD_OF)


def slots_in_use(connection: Connection, limit: int) -> list[SlotRow]:
    """The keys under which slots are held or waited for; the most waited for first."""
    held = {row.key: row.held for row in connection.execute(_all_held)}
    waiting: Counter[str] = Counter()
    for row in connection.execute(_crowds):
        waiting[row.key] = row.waiting
    named = sorted({*held, *waiting}, key=lambda key: (-waiting[key], -held.get(key, 0), key))
    rows: dict[str, AnyRow] = {}
    for some in chunks(named[:limit], IDS):
        for row in connection.execute(select(tables.slot_key).where(_k.key.in_(some))):
            rows[row.key] = row
    return [
        SlotRow(
            key=key,
            running=rows[key].running,
            starts=rows[key].starts,
            per=rows[key].per,
            held=held.get(key, 0),
            waiting=waiting[key],
        )
        for key in named[:limit]
        if key in rows
    ]


def by_lane(connection: Connection) -> dict[str, int]:
    """How many tasks of each lane are put off."""
    # Asked of each that waits: as a join, SQLite walks every open task where nothing waits.
    stands = exists(select(_t.task).where(STANDS))
    query = select(_w.lane, func.count().label("tasks")).where(stands).group_by(_w.lane)
    return {row.lane: row.tasks for row in connection.execute(query)}
