"""`fleet retry TASK`: have one failed task tried again with its payload edited."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of


def retry(
    context: typer.Context,
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id, or its unique beginning.")
    ],
    *,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="A new value; JSON where it reads as such, else text.",
        ),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="A field to leave out.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only check the edit and show how it differs.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why; kept in the history. Required.")
    ] = None,
    requester: Annotated[
        str | None, typer.Option(help="Who asks; default: the name of this user.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try a failed task again, with its payload edited.

    The edited payload is held to the model of the task's kind, and may name only files that travel
    with the task. How it differs is kept in the task's history. The payload is shown by `fleet task
    TASK --json`; without --set and --unset it stays as it is.

    With --json, one object: `task`, `run`, `redrives` (the attempt that had failed), `attempt`,
    `edit` (a JSON Patch, with `was`), `payload`, `dry_run`.

    \b
    Examples:
      fleet retry 7d1fa2 --set parameters.client=C-002 --reason "named otherwise" --dry-run
      fleet retry 7d1fa2 --set at_least=0 --unset parameters.since --reason "may be empty"
    """
    import json

    from console import output
    from console.errors import Refused
    from console.redriving import changes, intake_of
    from console.render.marks import shown
    from console.submission import requested_by

    if reason is None and not dry_run:
        raise Refused("say why with --reason: it is kept in the task's history")
    asked = {
        "requester": requester or requested_by(),
        "reason": reason or "dry run",
        "set": changes(set_ or ()),
        "unset": list(unset or ()),
        "dry_run": dry_run,
    }
    with intake_of(session_of(context).site()) as intake:
        retried = intake.retry(task, asked)
    if as_json:
        output.answer(retried.model_dump_json())
        return
    for step in retried.edit:
        was = f" (was {json.dumps(step['was'])})" if "was" in step else ""
        value = f" = {json.dumps(step['value'])}" if "value" in step else ""
        output.answer(shown(f"{step['op']} {step['path']}{value}{was}"))
    if dry_run:
        output.answer("this can be done; nothing was")
    else:
        output.answer(
            f"{retried.task} is queued as attempt {retried.attempt}; "
            f"follow it with `fleet run {retried.run} --watch`"
        )
