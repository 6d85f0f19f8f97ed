"""`fleet cancel`: have a run, or one task of it, stopped."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of


def cancel(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id, or its unique beginning."),
    ] = None,
    *,
    task: Annotated[
        str | None,
        typer.Option(metavar="TASK", help="Instead of a run: one task's id, or its beginning."),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", "-m", metavar="TEXT", help="Why; kept in the history.")
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for what runs: end it now.")
    ] = False,
    requester: Annotated[
        str | None, typer.Option(help="Who asks; default: the name of this user.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Cancel a run, or one task.

    What does not run yet is cancelled at once. A handler that runs is told within a third of its
    lane's lease, has a few seconds to end by itself, and is then ended: a process is killed, a
    coroutine cancelled, in a thread an exception is raised. With --force the ledger does not
    wait for that: the attempt is over now, and whatever its worker still makes of it is refused.

    A run with a cancelled task starts nothing more and ends as cancelled. Cancelling what has ended
    changes nothing.

    With --json, one object: `run`, `state` (of the run, or of the task), `running` (tasks that
    still have to stop).

    \b
    Examples:
      fleet cancel 01a2 --reason "the wrong month"
      fleet cancel 01a2 --reason "hangs" --force
      fleet cancel --task 7d1fa2 -m "its source is gone" --json
    """
    from console import output
    from console.errors import Refused
    from console.redriving import intake_of
    from console.submission import requested_by

    if (run is None) == (task is None):
        raise Refused("say which: `fleet cancel RUN`, or `fleet cancel --task TASK`")
    asked = {"requester": requester or requested_by(), "reason": reason, "force": force}
    with intake_of(session_of(context).site()) as intake:
        if run is not None:
            told = intake.cancel("runs", run, asked)
        else:
            told = intake.cancel("tasks", task or "", asked)
    if as_json:
        output.answer_json(told)
        return
    what = f"task {task}" if task else f"run {told.run}"
    if told.running:
        count = "1 task" if told.running == 1 else f"{told.running} tasks"
        output.answer(
            f"{what}: its cancellation is asked for; {count} still to stop. "
            f"Follow it with `fleet run {told.run} --watch`; --force does not wait"
        )
    else:
        output.answer(f"{what} is {told.state}")
