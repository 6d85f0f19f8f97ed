"""Dead letters by fingerprint: how many there are of each cause, since when, where, an example.

Summed up by the database: the cost is one pass over what is dead, however many runs there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    func,
    null,
    select,
    type_coerce,
)

from fleet.ledger import tables
from fleet.ledger.moves import IDS, chunks
from fleet.ledger.redrive_jobs import selected
from fleet.ledger.rows import DeadGroup, PreviewGroup, RedrivePreview, Selection
from fleet.ledger.types import AnyRow

HOURS = 24
"""Of a trend."""

NOT_GROUPED = ""
"""Stands for the fingerprint of what an older writer left and nobody has filled in yet."""

_HOUR = 3_600_000_000
"""In microseconds, as times are stored."""

_t, _a, _d = tables.task.c, tables.attempt.c, tables.dead_letter.c
_ALL = Selection(everything=True)

_tasks = (
    select(
        func.coalesce(_t.fingerprint, NOT_GROUPED).label("fingerprint"),
        _t.stage.label("place"),
        _t.task.label("id"),
        # What is parked has not ended, but its attempt has; a task may be dead without any.
        func.coalesce(_t.ended, _a.ended, _t.queued, _t.deadline).label("at"),
    )
    .outerjoin(tables.attempt, and_(_a.task == _t.task, _a.epoch == _t.epoch))
    .where(selected(_ALL))
    .subquery("dead")
)

_messages = (
    select(
        func.coalesce(_d.fingerprint, NOT_GROUPED).label("fingerprint"),
        _d.queue.label("place"),
        _d.message_id.label("id"),
        _d.sequence_number,
        _d.at,
    )
    .where(_d.taken_up.is_(null()))
    .subquery("dead")
)


def dead_groups(
    connection: Connection, now: datetime, limit: int, group: str | None = None
) -> list[DeadGroup]:
    """The largest groups, tasks and messages together; or one cause's alone."""
    groups = [
        *_groups_of_tasks(connection, now, group),
        *_groups_of_messages(connection, now, group),
    ]
    return sorted(groups, key=lambda group: (-group.count, group.what, group.fingerprint))[:limit]


def preview(connection: Connection, selection: Selection) -> RedrivePreview:
    """What a redrive of this would choose now, by group. Changes nothing."""
    counts: Counter[str] = Counter()
    for wanted in _conditions(selection):
        query = (
            select(func.coalesce(_t.fingerprint, NOT_GROUPED), func.count())
            .where(wanted)
            .group_by(_t.fingerprint)
        )
        for fingerprint, count in connection.execute(query):
            counts[fingerprint] += count
    samples = _faults(connection, _latest(connection, _tasks, None, _tasks.c.id))
    total = sum(counts.values())
    named = len(set(selection.tasks)) if selection.tasks is not None else total
    return RedrivePreview(
        total=total,
        refused=named - total,
        groups=tuple(
            PreviewGroup(
                fingerprint=fingerprint,
                reason=samples[fingerprint][0] if fingerprint in samples else "unknown",
                sample=samples[fingerprint][1] if fingerprint in samples else "",
                count=count,
            )
            for fingerprint, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _conditions(selection: Selection) -> Iterable[ColumnElement[bool]]:
    if selection.tasks is None:
        yield selected(selection)
        return
    for some in chunks(sorted(set(selection.tasks)), IDS):
        yield selected(_ALL) & _t.task.in_(some)


def _groups_of_tasks(connection: Connection, now: datetime, group: str | None) -> list[DeadGroup]:
    latest = _latest(connection, _tasks, group, _tasks.c.id)
    faults = _faults(connection, latest)
    return [
        DeadGroup(
            fingerprint=fingerprint,
            what="task",
            reason=faults[fingerprint][0],
            sample=faults[fingerprint][1],
            sample_id=latest[fingerprint].id,
            **sums.fields(),
        )
        for fingerprint, sums in _summed(connection, _tasks, now, group).items()
    ]


def _groups_of_messages(
    connection: Connection, now: datetime, group: str | None
) -> list[DeadGroup]:
    latest = _latest(
        connection, _messages, group, _messages.c.id, _messages.c.sequence_number, _messages.c.place
    )
    groups = []
    for fingerprint, sums in _summed(connection, _messages, now, group).items():
        sample = latest[fingerprint]
        told = connection.execute(
            select(_d.reason, _d.description).where(
                _d.queue == sample.place,
                _d.message_id == sample.id,
                _d.sequence_number == sample.sequence_number,
            )
        ).one()
        groups.append(
            DeadGroup(
                fingerprint=fingerprint,
                what="message",
                reason=told.reason,
                sample=told.description,
                sample_id=f"{sample.place}/{sample.sequence_number}",
                **sums.fields(),
            )
        )
    return groups


class _Sums:
    """One group, added up from its places and hours."""

    def __init__(self, hours: range) -> None:
        self._hours = hours
        self._places: Counter[str] = Counter()
        self._trend: Counter[int] = Counter()
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, row: AnyRow) -> None:
        self._places[row.place] += row.dead
        if row.hour is not None:
            self._trend[row.hour] += row.dead
        self._first = row.first if self._first is None else min(self._first, row.first)
        self._last = row.last if self._last is None else max(self._last, row.last)

    def fields(self) -> dict[str, Any]:
        places = sorted(self._places.items(), key=lambda item: (-item[1], item[0]))
        return {
            "count": self._places.total(),
            "first": self._first,
            "last": self._last,
            "where": dict(places),
            "trend": tuple(self._trend[hour] for hour in self._hours),
        }


def _summed(
    connection: Connection, dead: Any, now: datetime, group: str | None
) -> dict[str, _Sums]:
    """The groups in one pass over what is dead: that is what it costs."""
    c = dead.c
    hour = type_coerce(c.at, BigInteger) // _HOUR
    recent = case((c.at > now - timedelta(hours=HOURS), hour), else_=null()).label("hour")
    told = select(c.fingerprint, c.place, c.at, recent)
    # Grouped by a column of a query within: in `GROUP BY` a parameter is another one to SQL Server
    # than the same in the list of columns, which it then refuses.
    hourly = (told if group is None else told.where(c.fingerprint == group)).subquery("hourly")
    h = hourly.c
    query: Select[Any] = select(
        h.fingerprint,
        h.place,
        h.hour,
        func.count().label("dead"),
        func.min(h.at).label("first"),
        func.max(h.at).label("last"),
    ).group_by(h.fingerprint, h.place, h.hour)
    latest = int(now.timestamp()) // 3600
    hours = range(latest - HOURS + 1, latest + 1)
    found: defaultdict[str, _Sums] = defaultdict(lambda: _Sums(hours))
    for row in connection.execute(query):
        found[row.fingerprint].add(row)
    return found


def _latest(
    connection: Connection, dead: Any, group: str | None, *columns: ColumnElement[Any]
) -> dict[str, AnyRow]:
    """The latest of each group, or of one."""
    c = dead.c
    turn = (
        func.row_number()
        .over(partition_by=c.fingerprint, order_by=(c.at.desc(), *(one.desc() for one in columns)))
        .label("turn")
    )
    of = select(c.fingerprint, *columns, turn)
    ranked = (of if group is None else of.where(c.fingerprint == group)).subquery()
    return {
        row.fingerprint: row for row in connection.execute(select(ranked).where(ranked.c.turn == 1))
    }


def _faults(connection: Connection, latest: dict[str, AnyRow]) -> dict[str, tuple[str, str]]:
    """Code and message of each group's latest task."""
    groups = {row.id: fingerprint for fingerprint, row in latest.items()}
    found: dict[str, tuple[str, str]] = {}
    for some in chunks([*groups], IDS):
        for row in connection.execute(select(_t.task, _t.fault).where(_t.task.in_(some))):
            fault = row.fault or {"code": "unknown", "message": ""}
            found[groups[row.task]] = fault["code"], fault["message"]
    return found
