"""`fleet redrive`: have dead letters tried again, one, some, a group or all."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from console.site import Site


def redrive(
    context: typer.Context,
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="TASK", help="Tasks, by id or beginning.")
    ] = None,
    *,
    group: Annotated[
        str | None,
        typer.Option(metavar="GROUP", help="All of a group of `fleet dead-letters --groups`."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be redriven.")
    ] = False,
    rate: Annotated[
        int | None, typer.Option(min=1, max=100_000, metavar="N", help="At most N each second.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; kept in the history. Required.")
    ] = None,
    requester: Annotated[
        str | None, typer.Option(help="Who asks; default: the name of this user.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="With --wait: at most so many seconds."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Have dead letters tried again.

    The redrive is a job of the dispatcher: it goes on when this command ends, and where it was when
    a dispatcher is started again. Each task is redriven once; one that moved on meanwhile is left
    alone. `fleet redrives` shows how far it is and cancels it. Exits 1 if, with --wait, it was
    cancelled or a task was refused.

    With --json, one object: `job`, `state`, `total`, `redriven`, `refused`, `asked`, `ended`; with
    --dry-run `total`, `refused` and `groups` with `fingerprint`, `reason`, `sample`, `count`.

    \b
    Examples:
      fleet redrive 7d1fa2 --reason "the source is back"
      fleet redrive --group 3fa9c1d2e4b5 --dry-run
      fleet redrive --group 3fa9c1d2e4b5 --rate 50 --reason "the source is back" --wait
      fleet redrive --all --reason "after the outage" --json
    """
    from console import output
    from console.errors import Refused
    from console.redriving import intake_of, new_job, selection
    from console.render.queues import preview_table
    from console.submission import requested_by

    if timeout is not None and not wait:
        raise Refused("--timeout needs --wait")
    if reason is None and not dry_run:
        raise Refused("say why with --reason: it is kept in the history of every task")
    site = session_of(context).site()
    asked = selection(tasks or (), group, everything=everything) | {
        "requester": requester or requested_by(),
        "reason": reason or "dry run",
        "per_second": rate,
    }
    with intake_of(site) as intake:
        if dry_run:
            preview = intake.preview(asked)
            if as_json:
                output.answer_json(preview)
                return
            output.stdout().print(preview_table(preview))
            refused = f"; {preview.refused} named are no dead letters" if preview.refused else ""
            output.answer(f"\n{preview.total} would be redriven{refused}; nothing was done")
            return
        job = intake.redrive(asked | {"job": new_job()})
    if wait:
        _wait(site, job.job, timeout, as_json=as_json)
    elif as_json:
        output.answer_json(job)
    else:
        output.answer(f"{job.job} redrives {job.total}; follow it with `fleet redrives {job.job}`")


def _wait(site: "Site", job: str, timeout: float | None, *, as_json: bool) -> None:
    from console import output
    from console.errors import RunFailed
    from console.live import Progress
    from console.redriving import progress_line, wait_for_redrive

    progress = Progress(progress_line, progress_line)
    with progress.shown(), site.reader() as reader:
        ended = wait_for_redrive(reader, job, seen=progress.update, timeout=timeout)
    if as_json:
        output.answer_json(ended)
    else:
        output.answer(progress_line(ended))
    output.flush()
    if ended.state != "done" or ended.refused:
        raise RunFailed(f"redrive {job} did not redrive all; see `fleet redrives {job} --items`")
