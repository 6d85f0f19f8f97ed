"""`fleet runs`: what was asked for lately, and how it stands."""

from typing import Annotated

import typer

from console.commands.options import (
    After,
    Every,
    Json,
    Limit,
    OfPipeline,
    OfTenant,
    Since,
    Until,
    Watch,
    WithText,
)
from console.session import session_of
from contracts.states import RUN_STATES

InState = Annotated[
    str | None,
    typer.Option("--state", help=f"Only runs in this state: {', '.join(sorted(RUN_STATES))}."),
]


def runs(
    context: typer.Context,
    *,
    limit: Limit = 20,
    state: InState = None,
    pipeline: OfPipeline = None,
    tenant: OfTenant = None,
    text: WithText = "",
    since: Since = None,
    until: Until = None,
    after: After = None,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    Where there are more, the command that goes on with them is said on stderr.

    With --json, one object a line for each run.

    \b
    Examples:
      fleet runs
      fleet runs --state failed --since 24h
      fleet runs --pipeline guarantee_report --text C-001 --json
      fleet runs --state running --watch
    """
    from console import output
    from console.errors import Refused
    from console.looking import Looking, rows_of, show
    from console.render.run import runs_table
    from console.run_filter import run_filter
    from fleet.clock import SystemClock

    if state is not None and state not in RUN_STATES:
        raise Refused(f"{state} is no state of a run: {', '.join(sorted(RUN_STATES))}")
    wanted = run_filter(
        pipeline=pipeline, tenant=tenant, text=text, since=since, until=until, state=state
    )
    clock = SystemClock()
    with session_of(context).site().browser() as browser:
        looking = Looking(
            look=lambda: rows_of(browser.runs(wanted, after, limit), watch=watch),
            draw=lambda rows: runs_table(
                rows, clock.now(), plain=output.ascii_only(), wide=output.is_wide()
            ),
            nothing="no runs",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
