"""What is going on now: which runs and tasks moved, what ended in each minute, what needs people.

Each question is answered from an index alone, so that it may be asked several times a second of a
ledger of any size.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime
from sqlalchemy import BigInteger, func, select, type_coerce

from contracts.fact import Fact
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.database import open_reading_engine

MOST_CHANGES = 2000
"""Moves that are told one by one; of more it is only told that there were many."""
_OVERLAP = 256
"""Numbers below the highest one seen that are read again: on a database with several writers a
lower number can be committed after a higher one."""
_MINUTE = 60_000_000
_t, _e, _r, _p, _w = (
    tables.task.c,
    tables.event.c,
    tables.run.c,
    tables.approval.c,
    tables.worker.c,
)


class Moved(Fact):
    """What moved since the last look."""

    runs: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    many: bool = False
    """Whether more moved than is told."""

    @property
    def anything(self) -> bool:
        return self.many or bool(self.runs)


class Attention(Fact):
    """What may need people, counted."""

    held: int
    """Tasks that wait for approval."""
    next_expiry: AwareDatetime | None
    """When the first of them expires."""
    dead: int
    """Tasks that failed, died or were denied, and still stand so."""
    parked: int
    runs_running: int
    runs_failed: int
    """Of those submitted within the last day."""
    workers_live: int
    workers_gone: int
    """Gone within the last hour."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How many tasks of a lane ended in one minute, by state."""

    lane: str
    minute: datetime
    states: dict[State, int]


class Pulse:
    """Looks at one ledger again and again. One caller at a time, but for `attention`."""

    def __init__(self, url: str) -> None:
        self._engine = open_reading_engine(url)
        self._highest: int | None = None
        self._seen: frozenset[int] = frozenset()

    def close(self) -> None:
        """Let the connections go. Twice is harmless."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def moved(self) -> Moved:
        """What moved since this was asked last; nothing the first time."""
        floor = 0 if self._highest is None else self._highest - _OVERLAP
        query = select(_e.seq, _e.run, _e.task).where(_e.seq > floor)
        with self._engine.connect() as connection:
            if self._highest is None:
                self._highest = connection.execute(select(func.max(_e.seq))).scalar() or 0
                known = select(_e.seq).where(_e.seq > self._highest - _OVERLAP)
                self._seen = frozenset(connection.execute(known).scalars())
                return Moved()
            rows = connection.execute(
                query.order_by(_e.seq.desc()).limit(MOST_CHANGES + _OVERLAP)
            ).all()
        new = [row for row in rows if row.seq not in self._seen]
        if rows:
            self._highest = max(self._highest, rows[0].seq)
            self._seen = frozenset(row.seq for row in rows if row.seq > self._highest - _OVERLAP)
        return Moved(
            runs=frozenset(row.run for row in new),
            tasks=frozenset(row.task for row in new if row.task is not None),
            many=len(rows) == MOST_CHANGES + _OVERLAP,
        )

    def ended(self, since: datetime, until: datetime) -> list[Ended]:
        """What ended from `since` to before `until`, by lane and minute."""
        minute = type_coerce(_t.ended, BigInteger) // _MINUTE
        # Of a query within: SQL Server refuses what is grouped by an expression with a parameter.
        told = (
            select(_t.lane, minute.label("minute"), _t.state)
            .where(tables.ENDED, _t.ended >= since, _t.ended < until)
            .subquery("told")
        )
        c = told.c
        query = select(c.lane, c.minute, c.state, func.count().label("tasks")).group_by(
            c.lane, c.minute, c.state
        )
        found: dict[tuple[str, int], dict[State, int]] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                found.setdefault((row.lane, row.minute), {})[State(row.state)] = row.tasks
        epoch = datetime.fromtimestamp(0, since.tzinfo)
        return [
            Ended(lane, epoch + timedelta(minutes=minute), states)
            for (lane, minute), states in sorted(found.items())
        ]

    def attention(self, now: datetime) -> Attention:
        """What may need people."""
        held = select(func.count(), func.min(_p.expires)).where(tables.UNANSWERED)
        dead = select(_t.state, func.count()).where(tables.DEAD).group_by(_t.state)
        runs = select(func.count()).select_from(tables.run)
        bad = (State.FAILED.value, State.DENIED.value)
        workers = select(_w.gone, _w.last_seen)
        with self._engine.connect() as connection:
            waiting, expiry = connection.execute(held).one()
            states = Counter({row[0]: row[1] for row in connection.execute(dead)})
            running = connection.execute(runs.where(_r.state == State.RUNNING.value)).scalar_one()
            failed = connection.execute(
                runs.where(_r.state.in_(bad), _r.submitted > now - timedelta(days=1))
            ).scalar_one()
            seen = connection.execute(workers).all()
        lately = now - timedelta(hours=1)
        return Attention(
            held=waiting,
            next_expiry=expiry,
            dead=states.total() - states[State.PARKED.value],
            parked=states[State.PARKED.value],
            runs_running=running,
            runs_failed=failed,
            workers_live=sum(not row.gone for row in seen),
            workers_gone=sum(row.gone and row.last_seen > lately for row in seen),
        )
