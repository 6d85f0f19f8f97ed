"""What tenants use of their allowances: reserved when a run is admitted, settled when it ends.

A run in flight is its own reservation: runs that are running are counted, so that none can leak.
Of the day's tasks and seconds a run counts for what it reserved, and once it has ended, in the same
transaction, for what it used. A crash between the two leaves a run that is still running, which the
sweeper ends at its deadline.

The tenant's row is locked first, so that two dispatchers reserve one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Connection,
    bindparam,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from contracts.allowance import Allowance, Quota, over_of
from contracts.decision import Decision
from fleet.ledger import tables
from fleet.ledger.moves import IDS, chunks

_r, _u, _t, _a = tables.run.c, tables.tenant_use.c, tables.task.c, tables.attempt.c

Counted = dict[str, str | int]
"""The columns of a run that its reservation fills."""


_first_held = (
    select(_r.admitted)
    .where(_r.tenant == bindparam("b_tenant"), tables.WAITING_RUN)
    .order_by(_r.submitted, _r.run)
    .limit(1)
)

_in_flight = select(func.count()).where(_r.tenant == bindparam("b_tenant"), tables.COUNTED)

_lock = update(tables.tenant_use).where(_u.tenant == bindparam("b_tenant")).values(tasks=_u.tasks)

_use = select(_u.day, _u.tasks, _u.compute_us).where(_u.tenant == bindparam("b_tenant"))

_new_day = (
    update(tables.tenant_use)
    .where(_u.tenant == bindparam("b_tenant"))
    .values(day=bindparam("b_day"), tasks=0, compute_us=0)
)

_add = (
    update(tables.tenant_use)
    .where(_u.tenant == bindparam("b_tenant"))
    .values(tasks=_u.tasks + bindparam("b_tasks"), compute_us=_u.compute_us + bindparam("b_us"))
)


@dataclass(frozen=True, slots=True)
class _Use:
    """What a tenant has used or reserved of a day; its row is locked."""

    day: str
    tasks: int
    us: int


def reserve(
    connection: Connection, tenant: str, allowance: Allowance, *, tasks: int, now: datetime
) -> Counted | tuple[Quota, ...]:
    """What the run's row must say, once all of the allowance has room for it; else every quota that
    has none, and nothing was reserved."""
    use = _locked(connection, tenant, now)
    flying = int(connection.execute(_in_flight, {"b_tenant": tenant}).scalar_one())
    seconds = use.us / 1_000_000 + allowance.compute_seconds_a_run
    asked = (
        (Quota.RUNS_IN_FLIGHT, allowance.runs_in_flight, flying + 1),
        (Quota.TASKS_PER_DAY, allowance.tasks_per_day, use.tasks + tasks),
        (Quota.COMPUTE_SECONDS_PER_DAY, allowance.compute_seconds_per_day, seconds),
    )
    over = tuple(quota for quota, limit, wanted in asked if limit is not None and wanted > limit)
    return over or _counted(connection, tenant, allowance, tasks, use)


def count(
    connection: Connection, tenant: str, allowance: Allowance, *, tasks: int, now: datetime
) -> Counted:
    """Count a run without asking whether there is room: people have let it through."""
    use = _locked(connection, tenant, now)
    return _counted(connection, tenant, allowance, tasks, use)


def behind(connection: Connection, tenant: str) -> tuple[Quota, ...]:
    """The quotas that the tenant's first held run waits for: a new one does not overtake it."""
    admitted = connection.execute(_first_held, {"b_tenant": tenant}).scalar()
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


def _locked(connection: Connection, tenant: str, now: datetime) -> _Use:
    """Lock the tenant's row, made or turned to a new day where need be, and read it."""
    today, of_tenant = now.astimezone(UTC).date().isoformat(), {"b_tenant": tenant}
    if not connection.execute(_lock, of_tenant).rowcount:
        row = {"tenant": tenant, "day": today, "tasks": 0, "compute_us": 0}
        connection.execute(insert(tables.tenant_use), row)
        return _Use(today, 0, 0)
    use = _Use(*connection.execute(_use, of_tenant).one())
    # Forward only: the clock of another dispatcher may be a little behind at midnight.
    if today <= use.day:
        return use
    connection.execute(_new_day, of_tenant | {"b_day": today})
    return _Use(today, 0, 0)


def _counted(
    connection: Connection, tenant: str, allowance: Allowance, tasks: int, use: _Use
) -> Counted:
    us = allowance.compute_seconds_a_run * 1_000_000
    connection.execute(_add, {"b_tenant": tenant, "b_tasks": tasks, "b_us": us})
    return {"counted_day": use.day, "counted_tasks": tasks, "counted_us": us}
