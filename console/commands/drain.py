"""`fleet drain`: have one worker stop, without losing anything."""

from typing import Annotated

import typer

from console.commands.options import Json, Requester
from console.session import session_of


def drain(
    context: typer.Context,
    worker: Annotated[
        str, typer.Argument(metavar="WORKER", help="Its name in `fleet workers`, or the beginning.")
    ],
    *,
    reason: Annotated[str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; it is kept.")],
    requester: Requester = None,
    as_json: Json = False,
) -> None:
    """Have one worker take nothing more, finish or hand back what it has, and end.

    It hears of it with its next heartbeat, within 5 seconds, and then does what it does on SIGTERM:
    what ends within its grace period is recorded, the rest goes back to its queue and costs no
    attempt. What supervises it, `fleet up` or a Deployment, starts another in its place.

    With --json, one object: `worker`, `changed` (false where it was asked to already).

    \b
    Examples:
      fleet drain lane-mirror-6d5f7c9b8-x2x7k --reason "its node is patched"
      fleet drain host-4711 -m "it leaks memory" --json
    """
    from console import output
    from console.submission import requested_by

    asked = {"requester": requester or requested_by(), "reason": reason}
    with session_of(context).site().intake() as intake:
        told = intake.drain(worker, asked)
    if as_json:
        output.answer_json(told)
        return
    already = "" if told.changed else " (it was asked to already)"
    output.answer(f"worker {told.worker} drains{already}; see `fleet workers`")
