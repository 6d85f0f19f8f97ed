"""Pauses, slots and what operators did, as tables."""

from collections.abc import Iterable

from rich.table import Table

from console.render.marks import clock_time, shown
from console.render.tables import folding_table
from fleet.ledger.rows import AuditRow, PauseRow, SlotRow


def pause_table(rows: Iterable[PauseRow]) -> Table:
    """What is paused, as given."""
    table = folding_table("since", "what", "name", "by", "put off", "reason")
    for row in rows:
        table.add_row(
            clock_time(row.at),
            row.what,
            shown(row.name),
            shown(row.actor),
            str(row.put_off or "-"),
            shown(row.reason),
        )
    return table


def audit_table(rows: Iterable[AuditRow]) -> Table:
    """What operators did, as given."""
    table = folding_table("at", "what", "name", "action", "by", "reason")
    for row in rows:
        table.add_row(
            clock_time(row.at),
            row.what,
            shown(row.name),
            row.action,
            shown(row.actor),
            shown(row.reason),
        )
    return table


def slot_table(rows: Iterable[SlotRow]) -> Table:
    """The limits in use, as given."""
    table = folding_table("key", "running", "waiting", "limit")
    for row in rows:
        limits = [f"{row.running} at once"] if row.running is not None else []
        limits += [f"{row.starts} in {row.per} s"] if row.starts is not None else []
        table.add_row(shown(row.key), str(row.held), str(row.waiting or "-"), ", ".join(limits))
    return table
