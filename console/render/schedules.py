"""Schedules and what became of their times, as tables."""

from collections.abc import Iterable

from rich.table import Table

from console.render.marks import clock_time, shown
from console.render.tables import folding_table
from fleet.ledger.schedules import FireRow, ScheduleRow


def schedule_table(rows: Iterable[ScheduleRow]) -> Table:
    """All schedules, as given."""
    table = folding_table("schedule", "cron", "zone", "pipeline", "tenant", "catch-up", "next")
    for row in rows:
        one = row.schedule
        following = "-" if row.next_fire is None else clock_time(row.next_fire)
        table.add_row(
            one.name,
            one.cron,
            one.zone,
            one.pipeline,
            shown(one.scope.tenant),
            one.catch_up.value if one.catch_up != "all" else f"all, at most {one.most}",
            "paused" if row.paused else following,
        )
    return table


def fire_table(rows: Iterable[FireRow]) -> Table:
    """What became of a schedule's times, as given."""
    table = folding_table("time", "outcome", "run", "state", "by", "detail")
    for row in rows:
        table.add_row(
            clock_time(row.at),
            row.outcome,
            row.run or "-",
            row.state.value if row.state else "-",
            shown(row.actor),
            shown(row.detail),
        )
    return table
