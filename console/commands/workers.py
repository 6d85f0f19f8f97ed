"""`fleet workers`: who works, on what, and who fell silent."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from datetime import datetime

    from rich.table import Table

    from fleet.ledger.rows import WorkerRow


def workers(
    context: typer.Context,
    everyone: Annotated[
        bool, typer.Option("--all", help="Also those that are gone for more than a day.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the worker processes: live ones first, then those that are gone.

    Each start of a worker is a worker of its own. One that is not heard of for a minute is gone;
    what it had leased is tried again elsewhere when its lease runs out.

    With --json, one object a line: `worker`, `lanes`, `state` (`live` or `gone`), `first_seen`,
    `last_seen`, `running`, `facts` (the kinds it knows, what runs and how far it is, handlers left
    behind, its rules).

    \b
    Examples:
      fleet workers
      fleet workers --all --json
    """
    from datetime import timedelta

    from console import output
    from fleet.clock import SystemClock

    now = SystemClock().now()
    with session_of(context).site().reader() as reader:
        rows = reader.workers()
    if not everyone:
        rows = [
            row for row in rows if row.state == "live" or now - row.last_seen < timedelta(days=1)
        ]
    if as_json:
        output.answer_rows(rows)
    elif rows:
        output.stdout().print(_table(rows, now))
    else:
        output.say("no worker has been seen; start some with `fleet up`")


def _table(rows: "list[WorkerRow]", now: "datetime") -> "Table":
    from rich.table import Table

    from console.render.marks import shown, span

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("worker", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("running", "up", "heard of", "left behind"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("lanes", overflow="fold")
    for row in rows:
        table.add_row(
            shown(row.worker),
            row.state,
            str(row.running),
            span(row.last_seen - row.first_seen),
            f"{span(now - row.last_seen)} ago",
            str(row.facts.get("left_behind", 0)),
            ", ".join(row.lanes),
        )
    return table
