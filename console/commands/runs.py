"""`fleet runs`: what was asked for lately, and how it stands."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of
from contracts.states import RUN_STATES, State


def runs(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")
    ] = 20,
    state: Annotated[
        str | None, typer.Option(help=f"Only runs in this state: {', '.join(sorted(RUN_STATES))}.")
    ] = None,
    pipeline: Annotated[str | None, typer.Option(help="Only runs of this pipeline.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only runs of this tenant.")] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    With --json, one object a line for each run.

    \b
    Examples:
      fleet runs
      fleet runs --state failed --limit 5
      fleet runs --pipeline guarantee_report --json
    """
    from console import output
    from console.errors import Refused
    from console.render.run import runs_table
    from fleet.clock import SystemClock

    if state is not None and state not in RUN_STATES:
        raise Refused(f"{state} is no state of a run: {', '.join(sorted(RUN_STATES))}")
    with session_of(context).site().reader() as reader:
        rows = reader.runs(
            limit=limit, state=State(state) if state else None, pipeline=pipeline, tenant=tenant
        )
    if as_json:
        output.answer_rows(rows)
    elif rows:
        output.stdout().print(runs_table(rows, SystemClock().now()))
    else:
        output.say("no runs")
