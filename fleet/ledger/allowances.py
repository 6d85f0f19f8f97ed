"""What tenants use of their allowances: reserved when a run is admitted, settled when it ends.

A run in flight is its own reservation: runs that are running are counted, so that none can leak.
Of the day's tasks and seconds a run counts for what it reserved, and once it has ended, in the same
transaction, for what it used. A crash between the two leaves a run that is still running, which the
sweeper ends at its deadline.

The tenant's row is locked first, so that two dispatchers reserve one after the other.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import BigInteger, Connection, func, insert, select, type_coerce, update

from contracts.allowance import Allowance, Quota, over_of
from contracts.decision import Decision
from fleet.ledger import tables
from fleet.ledger.moves import IDS, chunks

_r, _u, _t, _a = tables.run.c, tables.tenant_use.c, tables.task.c, tables.attempt.c

Counted = dict[str, str | int]
"""The columns of a run that its reservation fills."""


def reserve(
    connection: Connection, tenant: str, allowance: Allowance, *, tasks: int, now: datetime
) -> Counted | tuple[Quota, ...]:
    """What the run's row must say, once all of the allowance has room for it; else every quota that
    has none, and nothing was reserved."""
    day = _locked_day(connection, tenant, now)
    used_tasks, used_us = _used(connection, tenant)
    us = allowance.compute_seconds_a_run * 1_000_000
    asked = (
        (Quota.RUNS_IN_FLIGHT, allowance.runs_in_flight, _in_flight(connection, tenant) + 1),
        (Quota.TASKS_PER_DAY, allowance.tasks_per_day, used_tasks + tasks),
        (
            Quota.COMPUTE_SECONDS_PER_DAY,
            allowance.compute_seconds_per_day,
            (used_us + us) / 1_000_000,
        ),
    )
    over = tuple(quota for quota, limit, wanted in asked if limit is not None and wanted > limit)
    return over or count(connection, tenant, allowance, tasks=tasks, now=now, day=day)


def count(
    connection: Connection,
    tenant: str,
    allowance: Allowance,
    *,
    tasks: int,
    now: datetime,
    day: str | None = None,
) -> Counted:
    """Count a run without asking whether there is room: people have let it through."""
    us = allowance.compute_seconds_a_run * 1_000_000
    day = day or _locked_day(connection, tenant, now)
    connection.execute(
        update(tables.tenant_use)
        .where(_u.tenant == tenant)
        .values(tasks=_u.tasks + tasks, compute_us=_u.compute_us + us)
    )
    return {"counted_day": day, "counted_tasks": tasks, "counted_us": us}


def behind(connection: Connection, tenant: str) -> tuple[Quota, ...]:
    """The quotas that the tenant's first held run waits for: a new one does not overtake it."""
    admitted = connection.execute(
        select(_r.admitted)
        .where(_r.tenant == tenant, tables.WAITING_RUN)
        .order_by(_r.submitted, _r.run)
        .limit(1)
    ).scalar()
    return () if admitted is None else over_of(Decision.model_validate_json(admitted))


def settle(connection: Connection, runs: Sequence[str]) -> None:
    """Runs that have just ended count for what they used, and no longer for what they reserved."""
    used = (
        select(func.sum(type_coerce(_a.ended, BigInteger) - type_coerce(_a.started, BigInteger)))
        .join(tables.task, _t.task == _a.task)
        .where(_t.run == _r.run, _a.ended.is_not(None))
        .scalar_subquery()
    )
    query = select(
        _r.run,
        _r.tenant,
        _r.tasks,
        _r.counted_day,
        _r.counted_tasks,
        _r.counted_us,
        used.label("us"),
    ).where(_r.counted_day.is_not(None))
    rows = [
        row
        for some in chunks(runs, IDS)
        for row in connection.execute(query.where(_r.run.in_(some)))
    ]
    for row in sorted(rows, key=lambda row: (row.tenant, row.run)):
        us = int(row.us or 0)
        # Nothing is owed to a day that is over.
        connection.execute(
            update(tables.tenant_use)
            .where(_u.tenant == row.tenant, _u.day == row.counted_day)
            .values(
                tasks=_u.tasks + row.tasks - row.counted_tasks,
                compute_us=_u.compute_us + us - row.counted_us,
            )
        )
        connection.execute(
            update(tables.run)
            .where(_r.run == row.run)
            .values(counted_tasks=row.tasks, counted_us=us)
        )


def _locked_day(connection: Connection, tenant: str, now: datetime) -> str:
    """Lock the tenant's row, made or turned to a new day where need be; the day it stands at."""
    today = now.astimezone(UTC).date().isoformat()
    locked = connection.execute(
        update(tables.tenant_use).where(_u.tenant == tenant).values(tasks=_u.tasks)
    )
    if not locked.rowcount:
        connection.execute(
            insert(tables.tenant_use),
            {"tenant": tenant, "day": today, "tasks": 0, "compute_us": 0},
        )
        return today
    day: str = connection.execute(select(_u.day).where(_u.tenant == tenant)).scalar_one()
    # Forward only: the clock of another dispatcher may be a little behind at midnight.
    if today <= day:
        return day
    connection.execute(
        update(tables.tenant_use)
        .where(_u.tenant == tenant)
        .values(day=today, tasks=0, compute_us=0)
    )
    return today


def _used(connection: Connection, tenant: str) -> tuple[int, int]:
    row = connection.execute(select(_u.tasks, _u.compute_us).where(_u.tenant == tenant)).one()
    return row.tasks, row.compute_us


def _in_flight(connection: Connection, tenant: str) -> int:
    counted = select(func.count()).where(_r.tenant == tenant, tables.COUNTED)
    return int(connection.execute(counted).scalar_one())
