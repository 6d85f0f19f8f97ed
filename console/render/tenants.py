"""Tenants' allowances as a table."""

from collections.abc import Iterable

from rich.table import Table

from contracts.allowance import Allowance
from fleet.ledger.tenants import TenantRow
from policies.limits import Limits


def tenants_table(rows: Iterable[TenantRow], limits: Limits) -> Table:
    """What each tenant uses, of how much; `-` where nothing limits it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tenant")
    for column in ("runs in flight", "held runs", "tasks today", "compute seconds today"):
        table.add_column(column, justify="right")
    for row in rows:
        may = limits.allowance(row.tenant) or Allowance()
        table.add_row(
            row.tenant,
            f"{row.runs_in_flight} of {_limit(may.runs_in_flight)}",
            str(row.held_runs or "-"),
            f"{row.tasks_today:,} of {_limit(may.tasks_per_day)}",
            f"{row.compute_seconds_today:,.1f} of {_limit(may.compute_seconds_per_day)}",
        )
    return table


def _limit(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
