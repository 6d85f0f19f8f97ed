"""`fleet pause`, `fleet resume`, `fleet pauses`: start nothing more of a lane or a pipeline."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Every, Json, Requester, Watch
from console.session import session_of

if TYPE_CHECKING:
    from fleet.ledger.rows import AuditRow

Lane = Annotated[str | None, typer.Argument(metavar="LANE", help="The lane's name.")]
PipelineOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="A pipeline, instead of a lane.")
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why; kept in the history. Required.")
]


def pause(
    context: typer.Context,
    lane: Lane = None,
    *,
    pipeline: PipelineOption = None,
    reason: Reason = None,
    requester: Requester = None,
    as_json: Json = False,
) -> None:
    """Start nothing more of a lane, or of a pipeline.

    What runs goes on to its end. What waits stays where it is and loses no attempt; runs that are
    asked for meanwhile are taken on. Deadlines of runs go on. `fleet pauses` shows what is paused.

    With --json, one object: `what` (lane, pipeline), `name`, `paused`, `changed`.

    \b
    Examples:
      fleet pause compute --reason "the warehouse is being moved"
      fleet pause --pipeline guarantee_report --reason "wrong rates, see ticket 4711"
      fleet resume compute --reason "it is moved"
    """
    _change(context, lane, pipeline, reason, requester, resume=False, as_json=as_json)


def resume(
    context: typer.Context,
    lane: Lane = None,
    *,
    pipeline: PipelineOption = None,
    reason: Reason = None,
    requester: Requester = None,
    as_json: Json = False,
) -> None:
    """Let a paused lane or pipeline go on.

    With --json, one object: `what` (lane, pipeline), `name`, `paused`, `changed`.

    \b
    Examples:
      fleet resume compute --reason "the warehouse is back"
      fleet resume --pipeline guarantee_report --reason "rates corrected"
    """
    _change(context, lane, pipeline, reason, requester, resume=True, as_json=as_json)


def _change(
    context: typer.Context,
    lane: str | None,
    pipeline: str | None,
    reason: str | None,
    requester: str | None,
    *,
    resume: bool,
    as_json: bool,
) -> None:
    import json

    from console import output
    from console.errors import Refused
    from console.submission import requested_by

    if (lane is None) == (pipeline is None):
        raise Refused("say which: a LANE, or --pipeline NAME")
    if not reason:
        raise Refused("say why, with --reason TEXT: others will ask")
    what, name = ("lane", lane or "") if pipeline is None else ("pipeline", pipeline)
    asked = {"requester": requester or requested_by(), "reason": reason}
    with session_of(context).site().intake() as intake:
        told = intake.pause(what, name, asked, resume=resume)
    if as_json:
        output.answer(json.dumps(told))
        return
    word = "goes on" if resume else "is paused"
    already = "" if told["changed"] else " (it was so already)"
    output.answer(f"{what} {name} {word}{already}")


def pauses(
    context: typer.Context,
    *,
    history: Annotated[
        bool, typer.Option("--history", help="Who paused and resumed what, and why.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="With --history: at most so many.")
    ] = 50,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """Show what is paused now, by whom and why.

    With --json, one object a line: `what`, `name`, `actor`, `reason`, `at`, `put_off`; with
    --history: `at`, `what`, `name`, `action`, `actor`, `reason`.

    \b
    Examples:
      fleet pauses
      fleet pauses --watch
      fleet pauses --history
    """
    from console.looking import Looking, show
    from console.render.flow import audit_table, pause_table

    with session_of(context).site().reader() as reader:

        def told() -> "list[AuditRow]":
            found = [*reader.audit("lane", limit=limit), *reader.audit("pipeline", limit=limit)]
            return sorted(found, key=lambda row: row.at, reverse=True)[:limit]

        if history:
            past = Looking(look=told, draw=audit_table, nothing="nothing was ever paused")
            show(past, as_json=as_json, watch=watch, every=every)
        else:
            now = Looking(look=reader.pauses, draw=pause_table, nothing="nothing is paused")
            show(now, as_json=as_json, watch=watch, every=every)


def slots(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="At most so many.")
    ] = 100,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """Show the limits in use: how many tasks run under each key, and how many wait.

    Limits stand in the lanes file and in pipeline.yaml. A key is listed while a task runs or waits
    under it; what is waited for most comes first.

    With --json, one object a line: `key`, `running` (the limit), `starts` and `per` (seconds),
    `held`, `waiting`.

    \b
    Examples:
      fleet slots
      fleet slots --watch
      fleet slots --json
    """
    from console.looking import Looking, show
    from console.render.flow import slot_table

    with session_of(context).site().reader() as reader:
        looking = Looking(
            look=lambda: reader.slots(limit), draw=slot_table, nothing="no limit is in use"
        )
        show(looking, as_json=as_json, watch=watch, every=every)
