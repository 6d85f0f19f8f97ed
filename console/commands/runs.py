"""`fleet runs`: what was asked for lately, and how it stands."""

from typing import Annotated

import typer

from console.commands.options import After, Every, Json, Watch
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
    text: Annotated[
        str, typer.Option(help="Part of the id, the requester, the key or a parameter's value.")
    ] = "",
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Submitted since: 90m, 24h, 7d ago, or a time in UTC."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Submitted before: the same.")
    ] = None,
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
    from console.looking import Looking, show
    from console.parameters import maybe_time
    from console.render.run import runs_table
    from fleet.clock import SystemClock
    from fleet.ledger.browse import RunFilter
    from fleet.ledger.rows import RunRow

    if state is not None and state not in RUN_STATES:
        raise Refused(f"{state} is no state of a run: {', '.join(sorted(RUN_STATES))}")
    clock = SystemClock()
    wanted = RunFilter(
        tenant=tenant,
        pipeline=pipeline,
        state=State(state) if state else None,
        since=maybe_time(since, clock.now()),
        until=maybe_time(until, clock.now()),
        text=text,
    )
    with session_of(context).site().browser() as browser:

        def look() -> tuple[RunRow, ...]:
            page = browser.runs(wanted, after, limit)
            if page.next is not None and not watch:
                output.say(f"there are more: --after {page.next}")
            return page.rows

        looking = Looking(
            look=look,
            draw=lambda rows: runs_table(
                rows, clock.now(), plain=output.ascii_only(), wide=output.is_wide()
            ),
            nothing="no runs",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
