"""`fleet redrives`: how far redrives are, what they did, and an end to one."""

from typing import Annotated

import typer

from console.commands.options import Every, Json, Requester, Watch
from console.session import session_of

One = Annotated[
    str | None, typer.Argument(metavar="REDRIVE", help="One of them, by id or beginning.")
]
Items = Annotated[bool, typer.Option("--items", help="What it chose, and what became of each.")]
Cancel = Annotated[
    bool, typer.Option("--cancel", help="Let it go no further; what is redriven stays so.")
]
Reason = Annotated[
    str | None,
    typer.Option("--reason", "-m", metavar="TEXT", help="With --cancel: why; kept. Required then."),
]
Most = Annotated[
    int, typer.Option("--limit", min=1, max=100_000, metavar="N", help="At most so many.")
]


def redrives(
    context: typer.Context,
    redrive: One = None,
    *,
    items: Items = False,
    cancel: Cancel = False,
    requester: Requester = None,
    reason: Reason = None,
    limit: Most = 50,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """Show redrives, newest first, or one of them.

    With --json, one object a line for each redrive: `job`, `state` (running, done, cancelled),
    `actor`, `reason`, `selection`, `per_second`, `total`, `redriven`, `refused`, `asked`, `ended`,
    `ended_by`; with --items for each item: `position`, `task`, `attempt`, `fingerprint`, `state`,
    `became`, `at`, `note`.

    \b
    Examples:
      fleet redrives
      fleet redrives 0192f0c1 --items
      fleet redrives --watch
      fleet redrives 0192f0c1 --cancel --reason "it fails again"
    """
    from console import output
    from console.errors import Refused
    from console.looking import Looking, show
    from console.render.queues import item_table, job_table
    from console.submission import requested_by

    if redrive is None and (items or cancel):
        raise Refused("say which redrive: --items and --cancel are of one")
    if cancel and not reason:
        raise Refused("say why, with --reason TEXT: others will ask")
    site = session_of(context).site()
    if redrive is not None and cancel:
        with site.intake() as intake:
            intake.cancel_redrive(redrive, requester or requested_by(), reason or "")
    with site.reader() as reader:
        job = None if redrive is None else reader.find_redrive(redrive)
        if job is not None and items:
            of_items = Looking(
                look=lambda: reader.redrive_items(job, limit=limit),
                draw=lambda rows: item_table(rows, wide=output.is_wide()),
                nothing="it chose nothing",
            )
            show(of_items, as_json=as_json, watch=watch, every=every)
            return
        looking = Looking(
            look=lambda: reader.redrives(limit) if job is None else [reader.redrive(job)],
            draw=lambda rows: job_table(rows, wide=output.is_wide()),
            nothing="no redrives",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
