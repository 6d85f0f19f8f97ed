"""`fleet redrive`: have dead letters tried again, one, some, a group or all."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.options import Json, Requester, WaitSeconds
from console.session import session_of

if TYPE_CHECKING:
    from console.site import Site

Tasks = Annotated[
    list[str] | None, typer.Argument(metavar="TASK", help="Tasks, by id or beginning.")
]
Group = Annotated[
    str | None,
    typer.Option(metavar="GROUP", help="All of a group of `fleet dead-letters --groups`."),
]
Everything = Annotated[bool, typer.Option("--all", help="All dead letters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be redriven.")]
Rate = Annotated[
    int | None, typer.Option(min=1, max=100_000, metavar="N", help="At most N each second.")
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why; kept in the history. Required.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")]


def redrive(
    context: typer.Context,
    tasks: Tasks = None,
    *,
    group: Group = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    rate: Rate = None,
    reason: Reason = None,
    requester: Requester = None,
    wait: Wait = False,
    timeout: WaitSeconds = None,
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
    from console.redriving import new_job, selection
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
    if dry_run:
        _preview(site, asked, as_json=as_json)
        return
    with site.intake() as intake:
        job = intake.redrive(asked | {"job": new_job()})
    if wait:
        _wait(site, job.job, timeout, as_json=as_json)
    elif as_json:
        output.answer_json(job)
    else:
        output.answer(f"{job.job} redrives {job.total}; follow it with `fleet redrives {job.job}`")


def _preview(site: "Site", asked: dict[str, Any], *, as_json: bool) -> None:
    from console import output
    from console.render.queues import preview_table

    with site.intake() as intake:
        preview = intake.preview(asked)
    if as_json:
        output.answer_json(preview)
        return
    output.stdout().print(preview_table(preview))
    refused = f"; {preview.refused} named are no dead letters" if preview.refused else ""
    output.answer(f"\n{preview.total} would be redriven{refused}; nothing was done")


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
