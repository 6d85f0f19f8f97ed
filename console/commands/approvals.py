"""`fleet approvals`, `approve`, `refuse`: what waits for people, and their word on it."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Every, Json, Watch
from console.session import session_of

if TYPE_CHECKING:
    from console.session import Session

TaskId = Annotated[
    str, typer.Argument(metavar="TASK", help="A held task's or run's id, or its beginning.")
]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept with the task.")]
Approver = Annotated[
    str | None, typer.Option("--as", help="Who says so; default: the name of this user.")
]


def approvals(
    context: typer.Context, *, watch: Watch = False, every: Every = 1.0, as_json: Json = False
) -> None:
    """List held tasks and runs that wait for approval; what expires first comes first.

    A run is held before it has tasks where its tenant's allowance has no room for it: it starts
    once there is room, or once it is approved.

    With --json, one object a line: `gate` (`execute` for a task, `admit` for a run), `task` (what
    is voted on: the task or the run), `run`, `stage`, `partition`, `kind`, `lane`, `tenant`,
    `pipeline`, `requester`, `digest` (of what is approved), `reasons`, `asked`, `expires`,
    `approved_by`, `needed`.

    \b
    Examples:
      fleet approvals
      fleet approvals --watch
      fleet approvals --json
    """
    from console.looking import Looking, show
    from console.render.approvals import approvals_shown

    with session_of(context).site().reader() as reader:
        looking = Looking(
            look=lambda: reader.approvals(1000),
            draw=approvals_shown,
            nothing="nothing waits for approval",
        )
        show(looking, as_json=as_json, watch=watch, every=every)


def approve(
    context: typer.Context,
    task: TaskId,
    comment: Comment,
    approver: Approver = None,
    as_json: Json = False,
) -> None:
    """Approve a held task or run: what it would do as it is now, and nothing else.

    Two people are needed, and who asked for the run is none of them.

    With --json, one object: `task`, `run`, `state`, `approved_by`, `needed`.

    \b
    Examples:
      fleet approve 5b1e -m "agreed with finance"
      fleet approve 5b1e -m "looked through" --as grace --json
    """
    _vote(session_of(context), task, comment, approver=approver, approve=True, as_json=as_json)


def refuse(
    context: typer.Context,
    task: TaskId,
    comment: Comment,
    approver: Approver = None,
    as_json: Json = False,
) -> None:
    """Refuse a held task or run: it is denied, and what waits for it is cancelled.

    With --json, one object: `task`, `run`, `state`, `approved_by`, `needed`.

    \b
    Examples:
      fleet refuse 5b1e -m "not before the audit"
    """
    _vote(session_of(context), task, comment, approver=approver, approve=False, as_json=as_json)


def _vote(
    session: "Session",
    task: str,
    comment: str,
    *,
    approver: str | None,
    approve: bool,
    as_json: bool,
) -> None:
    from console import output
    from console.errors import Refused
    from console.render.marks import shown
    from console.submission import requested_by

    site = session.site()
    with site.reader() as reader:
        whole = reader.find_held(task)
        row = next((row for row in reader.approvals(100_000) if row.task == whole), None)
    if row is None:
        raise Refused(f"{whole} does not wait for approval; see `fleet approvals`")
    asked = {
        "approver": approver or requested_by(),
        "approve": approve,
        "comment": comment,
        "digest": row.digest,
    }
    with site.intake() as intake:
        voted = intake.vote(whole, asked)
    if as_json:
        output.answer_json(voted)
    else:
        by = ", ".join(voted.approved_by) or "nobody"
        output.answer(
            f"{whole} is {voted.state}; approved by {shown(by)} ({voted.needed} are needed)"
        )
