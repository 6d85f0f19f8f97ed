"""What people did, as a table."""

from collections.abc import Iterable

from rich.table import Table

from console.render.marks import brief, short, shown, when
from console.render.tables import plain_table
from fleet.ledger.audit import Act


def acts_table(acts: Iterable[Act], *, wide: bool = True) -> Table:
    """The latest first, as given. What it was done to is told by the id that a command takes."""
    table = plain_table()
    table.add_column("at", no_wrap=True)
    table.add_column("who", overflow="fold")
    table.add_column("what", no_wrap=True)
    table.add_column("on", overflow="fold", min_width=23)  # the id is not broken
    table.add_column("why", overflow="fold")
    for act in acts:
        of = act.task or act.run or act.redrive
        table.add_row(
            when(act.at, wide=wide),
            shown(act.actor),
            act.action,
            brief(act.on) if of is None else f"{brief(act.on)}\n{short(of, wide=wide)}",
            brief(act.reason),
        )
    return table
