"""What tenants use of their allowances, for people to look at."""

from datetime import UTC, datetime

from sqlalchemy import Connection, TextClause, func, select

from contracts.fact import Fact
from fleet.ledger import tables

_r, _u = tables.run.c, tables.tenant_use.c


class TenantRow(Fact):
    """One tenant now: of today (in UTC) what is reserved or used."""

    tenant: str
    runs_in_flight: int
    held_runs: int
    tasks_today: int
    compute_seconds_today: float


def tenants(connection: Connection, now: datetime) -> list[TenantRow]:
    """Every tenant that an allowance ever limited, by name."""
    flying = _counts(connection, tables.COUNTED)
    held = _counts(connection, tables.WAITING_RUN)
    today = now.astimezone(UTC).date().isoformat()
    return [
        TenantRow(
            tenant=row.tenant,
            runs_in_flight=flying.get(row.tenant, 0),
            held_runs=held.get(row.tenant, 0),
            tasks_today=row.tasks if row.day == today else 0,
            compute_seconds_today=row.compute_us / 1_000_000 if row.day == today else 0.0,
        )
        for row in connection.execute(select(tables.tenant_use).order_by(_u.tenant))
    ]


def _counts(connection: Connection, where: TextClause) -> dict[str, int]:
    query = select(_r.tenant, func.count().label("number")).where(where).group_by(_r.tenant)
    return {row.tenant: row.number for row in connection.execute(query)}
