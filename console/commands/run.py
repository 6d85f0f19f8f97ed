"""`fleet run RUN`: its stages drawn in the terminal, once or live."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json, RunId
from console.session import session_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from fleet.ledger.reader import LedgerReader
    from fleet.ledger.rows import RunDetail


def run(
    context: typer.Context,
    run_id: RunId,
    tasks: Annotated[bool, typer.Option("--tasks", help="List every task too.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the run until it ends; exit 1 if it failed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Draw a run and its stages.

    Stages are drawn in order, with how many of their tasks are done and when they ran.

    With --json, one object: the run with its stages, and with --tasks its tasks as `task_rows`.

    \b
    Examples:
      fleet run 0192f0c1
      fleet run 0192f0c1 --watch
      fleet run 0192f0c1 --tasks --json
    """
    import json

    from console import output
    from console.errors import RunFailed
    from contracts.states import State

    with session_of(context).site().reader() as reader:
        found = reader.find_run(run_id)
        detail = _followed(reader, found) if watch else reader.run(found)
        if as_json:
            told = detail.model_dump(mode="json")
            if tasks:
                told["task_rows"] = [row.model_dump(mode="json") for row in reader.tasks(found)]
            output.answer(json.dumps(told))
        else:
            output.stdout().print(_drawn(reader, detail, tasks=tasks))
    if watch and detail.state is not State.SUCCEEDED:
        raise RunFailed(f"run {found} {detail.state}")


def _drawn(reader: "LedgerReader", detail: "RunDetail", *, tasks: bool) -> "RenderableType":
    from rich.console import Group

    from console import output
    from console.render.run import drawing, task_table
    from fleet.clock import SystemClock

    plain, wide = output.ascii_only(), output.is_wide()
    rows = reader.tasks(detail.run)
    drawn = drawing(detail, rows, SystemClock().now(), plain=plain, wide=wide)
    return Group(drawn, "", task_table(rows, plain=plain, wide=wide)) if tasks else drawn


def _followed(reader: "LedgerReader", run: str) -> "RunDetail":
    from console.live import Progress
    from console.render.run import progress_line
    from console.watch import watch_run

    progress = Progress(lambda detail: _drawn(reader, detail, tasks=False), progress_line)
    with progress.shown():
        return watch_run(reader, run, seen=progress.update, tend=lambda: None, timeout=None)
