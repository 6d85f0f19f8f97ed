"""`fleet cancel`: have a run, or one task of it, stopped."""

from typing import Annotated

import typer

from console.commands.options import (
    Json,
    OfPipeline,
    OfTenant,
    Requester,
    Since,
    Until,
    WithText,
)
from console.session import session_of

Run = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id, or its unique beginning.")
]
Task = Annotated[
    str | None,
    typer.Option(metavar="TASK", help="Instead of a run: one task's id, or its beginning."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which runs would be cancelled.")]
Most = Annotated[
    int,
    typer.Option("--limit", min=1, max=10_000, metavar="N", help="Refuse where more are meant."),
]
Reason = Annotated[
    str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept in the history.")
]
Force = Annotated[bool, typer.Option("--force", help="Do not wait for what runs: end it now.")]


def cancel(
    context: typer.Context,
    run: Run = None,
    *,
    task: Task = None,
    pipeline: OfPipeline = None,
    tenant: OfTenant = None,
    text: WithText = "",
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    limit: Most = 500,
    reason: Reason,
    force: Force = False,
    requester: Requester = None,
    as_json: Json = False,
) -> None:
    """Cancel a run, one task, or all open runs that a filter means.

    What does not run yet is cancelled at once. A handler that runs is told within a third of its
    lane's lease, has a few seconds to end by itself, and is then ended: a process is killed, a
    coroutine cancelled, in a thread an exception is raised. With --force the ledger does not
    wait for that: the attempt is over now, and whatever its worker still makes of it is refused.

    A run with a cancelled task starts nothing more and ends as cancelled. Cancelling what has ended
    changes nothing.

    Filters are those of `fleet runs`; look with --dry-run first. Where more than --limit runs are
    meant, none is cancelled.

    With --json, one object a run: `run`, `state` (of the run, or of the task), `running` (tasks
    that still have to stop); of a --dry-run the runs as `fleet runs` tells them.

    \b
    Examples:
      fleet cancel 01a2 --reason "the wrong month"
      fleet cancel 01a2 --reason "hangs" --force
      fleet cancel --task 7d1fa2 -m "its source is gone" --json
      fleet cancel --pipeline guarantee_report --since 2h -m "wrong rates" --dry-run
      fleet cancel --pipeline guarantee_report --since 2h -m "wrong rates"
    """
    from console.cancelling import cancel_all, cancel_one, open_runs, said_dry
    from console.errors import ExitCode, Refused
    from console.run_filter import run_filter
    from console.submission import requested_by

    filtered = any((pipeline, tenant, text, since, until))
    if (run is not None) + (task is not None) + filtered != 1:
        raise Refused(
            "say which: `fleet cancel RUN`, `fleet cancel --task TASK`, or a filter such as "
            "--pipeline NAME"
        )
    if dry_run and not filtered:
        raise Refused("--dry-run is of a filter: a RUN or a TASK is named")
    asked = {"requester": requester or requested_by(), "reason": reason, "force": force}
    site = session_of(context).site()
    if not filtered:
        cancel_one(site, run, task, asked, as_json=as_json)
        return
    wanted = run_filter(pipeline=pipeline, tenant=tenant, text=text, since=since, until=until)
    meant = open_runs(site, wanted, most=limit)
    if dry_run:
        said_dry(meant, as_json=as_json)
    elif not cancel_all(site, meant, asked, as_json=as_json):
        raise typer.Exit(ExitCode.REFUSED)
