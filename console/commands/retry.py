"""`fleet retry`: have one failed task, or one message, tried again with an edit."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.options import Json, Requester
from console.session import session_of

if TYPE_CHECKING:
    from console.intake import Resent, Retried
    from console.site import Site
    from contracts.fact import JsonObject

What = Annotated[
    str,
    typer.Argument(
        metavar="TASK|MESSAGE", help="A task's id, or its unique beginning; or QUEUE/NUMBER."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="A new value; JSON where it reads as such, else text.",
    ),
]
Unset = Annotated[list[str] | None, typer.Option(metavar="PATH", help="A field to leave out.")]
Body = Annotated[str | None, typer.Option(metavar="JSON", help="Of a message: a whole new body.")]
Properties = Annotated[
    list[str] | None,
    typer.Option("--property", metavar="NAME=VALUE", help="Of a message: an application property."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only check the edit and show how it differs.")
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why; kept in the history. Required.")
]


def retry(
    context: typer.Context,
    what: What,
    *,
    set_: Set = None,
    unset: Unset = None,
    body: Body = None,
    prop: Properties = None,
    dry_run: DryRun = False,
    reason: Reason = None,
    requester: Requester = None,
    as_json: Json = False,
) -> None:
    """Try a failed task again with its payload edited, or send a dead-lettered message edited.

    A task's edited payload is held to the model of its kind, and may name only files that travel
    with it; how it differs is kept in its history. `fleet task TASK --json` shows the payload;
    without --set and --unset it stays as it is.

    A message is named as `fleet dead-letters` names it, and is sent only if its queue would take
    it as edited. Who, why and how it differs is kept among `fleet redrives`.

    With --json, one object; of a task `task`, `run`, `redrives` (the attempt that had failed),
    `attempt`, `edit` (a JSON Patch, with `was`), `payload`, `dry_run`; of a message `queue`,
    `sequence_number`, `became` (its new message id), `edit`, `dry_run`.

    \b
    Examples:
      fleet retry 7d1fa2 --set parameters.client=C-002 --reason "named otherwise" --dry-run
      fleet retry 7d1fa2 --set at_least=0 --unset parameters.since --reason "may be empty"
      fleet retry intake/4 --set scope.tenant=acme --reason "the sender left it out"
    """
    from console.errors import Refused
    from console.redriving import as_message, changes
    from console.submission import requested_by

    if reason is None and not dry_run:
        raise Refused("say why with --reason: it is kept in the history")
    asked: dict[str, Any] = {
        "requester": requester or requested_by(),
        "reason": reason or "dry run",
        "set": changes(set_ or ()),
        "unset": list(unset or ()),
        "dry_run": dry_run,
    }
    message = as_message(what)
    if message is None and (body is not None or prop):
        raise Refused("--body and --property are of a message: QUEUE/NUMBER")
    site = session_of(context).site()
    if message is None:
        _retry(site, what, asked, as_json=as_json)
        return
    if body is not None:
        asked["body"] = changes([f"body={body}"])["body"]
    _resend(site, message, asked | {"properties": changes(prop or ())}, as_json=as_json)


def _retry(site: "Site", task: str, asked: dict[str, Any], *, as_json: bool) -> None:
    with site.intake() as intake:
        retried = intake.retry(task, asked)
    done = (
        f"{retried.task} is queued as attempt {retried.attempt}; "
        f"follow it with `fleet run {retried.run} --watch`"
    )
    _told(retried, done, as_json=as_json)


def _resend(
    site: "Site", message: tuple[str, int], asked: dict[str, Any], *, as_json: bool
) -> None:
    with site.intake() as intake:
        resent = intake.resend(*message, asked)
    _told(resent, f"sent to {resent.queue} as {resent.became}", as_json=as_json)


def _told(answer: "Retried | Resent", done: str, *, as_json: bool) -> None:
    from console import output

    if as_json:
        output.answer_json(answer)
        return
    _tell(answer.edit)
    output.answer("this can be done; nothing was" if answer.dry_run else done)


def _tell(edit: "Iterable[JsonObject]") -> None:
    import json

    from console.output import answer
    from console.render.marks import shown

    for step in edit:
        was = f" (was {json.dumps(step['was'])})" if "was" in step else ""
        value = f" = {json.dumps(step['value'])}" if "value" in step else ""
        answer(shown(f"{step['op']} {step['path']}{value}{was}"))
