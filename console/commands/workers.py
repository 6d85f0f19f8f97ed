"""`fleet workers`: who works, on what, and who fell silent."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Every, Json, Watch
from console.session import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.table import Table

    from fleet.ledger.rows import WorkerRow


def workers(
    context: typer.Context,
    everyone: Annotated[
        bool, typer.Option("--all", help="Also those that are gone for more than a day.")
    ] = False,
    *,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """Show the worker processes: live ones first, then those that are gone.

    Each start of a worker is a worker of its own. One that is not heard of for a minute is gone;
    what it had leased is tried again elsewhere when its lease runs out.

    With --json, one object a line: `worker`, `lanes`, `state` (`live` or `gone`), `first_seen`,
    `last_seen`, `running`, `drain_asked`, `drained_by`, `drain_reason`, `facts` (the
    kinds it knows, what runs and how far it is, handlers left behind, its rules).

    \b
    Examples:
      fleet workers
      fleet workers --watch
      fleet workers --all --json
    """
    from datetime import timedelta

    from console.looking import Looking, show
    from fleet.clock import SystemClock

    clock = SystemClock()
    with session_of(context).site().reader() as reader:

        def look() -> "list[WorkerRow]":
            lately = clock.now() - timedelta(days=1)
            return [
                row
                for row in reader.workers()
                if everyone or row.state == "live" or row.last_seen > lately
            ]

        looking = Looking(
            look=look,
            draw=lambda rows: _table(rows, clock.now()),
            nothing="no worker has been seen; start some with `fleet up`",
        )
        show(looking, as_json=as_json, watch=watch, every=every)


def _table(rows: "Sequence[WorkerRow]", now: "datetime") -> "Table":

    from console.render.marks import shown, span
    from console.render.tables import plain_table

    table = plain_table()
    for column in ("worker", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("running", "up", "heard of", "left behind"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("lanes", overflow="fold")
    for row in rows:
        table.add_row(
            shown(row.worker),
            "drains" if row.drain_asked and row.state == "live" else row.state,
            str(row.running),
            span(row.last_seen - row.first_seen),
            f"{span(now - row.last_seen)} ago",
            str(row.facts.get("left_behind", 0)),
            shown(", ".join(row.lanes)),
        )
    return table
