"""`fleet task TASK`: everything that is known of one task."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of


def task(
    context: typer.Context,
    task_id: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id, or its unique beginning.")
    ],
    as_json: Json = False,
) -> None:
    """Show everything known of a task.

    Status history, attempts, decisions with rules and reasons, inputs, outputs, and its spans.

    With --json, one object: the task with `history`, `attempts`, `decisions`, `inputs`, `outputs`,
    `trace_id`, and `spans`, those of the trace that are this task's.

    \b
    Examples:
      fleet task 5b1e
      fleet task 5b1e --json
    """
    import json

    from console import output
    from console.render.task import drawing
    from fleet.clock import SystemClock

    with session_of(context).site().reader() as reader:
        detail = reader.task(reader.find_task(task_id))
        spans = reader.spans(detail.trace_id) if detail.trace_id else ()
    own = [span for span in spans if span.task == detail.task]
    if as_json:
        told = detail.model_dump(mode="json")
        told["spans"] = [span.model_dump(mode="json") for span in own]
        output.answer(json.dumps(told))
    else:
        plain = output.ascii_only()
        output.stdout().print(drawing(detail, own, SystemClock().now(), plain=plain))
