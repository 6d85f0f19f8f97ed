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
    *,
    logs: Annotated[
        bool, typer.Option("--logs", help="Only what was logged while it was carried out.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show everything known of a task.

    Status history, attempts, decisions with rules and reasons, inputs, outputs, its spans, and the
    latest log lines of its attempts, also of one that runs; of many lines the last ones are kept.

    With --json, one object: the task with `history`, `attempts`, `decisions`, `inputs`, `outputs`,
    `trace_id`, `spans` (those of the trace that are this task's), `logs`; with --logs one object a
    line: `at`, `attempt`, `level`, `logger`, `message`, `stack`.

    \b
    Examples:
      fleet task 5b1e
      fleet task 5b1e --logs
      fleet task 5b1e --json
    """
    import json

    from console import output
    from console.render.task import drawing, log_lines
    from fleet.clock import SystemClock
    from fleet.telemetry.lines import left_out, lines_of, true_spans, without_lines

    with session_of(context).site().reader() as reader:
        detail = reader.task(reader.find_task(task_id))
        own = reader.spans(detail.trace_id, detail.task) if detail.trace_id else []
    lines, spans = lines_of(own), true_spans(own)
    if logs:
        if (gone := left_out(own)) and not as_json:
            output.say(f"{gone:,} earlier lines were not kept")
        if as_json:
            output.answer_rows(lines)
        elif lines:
            output.stdout().print(log_lines(lines))
        else:
            output.say("nothing was logged")
    elif as_json:
        told = detail.model_dump(mode="json")
        told["spans"] = [without_lines(span).model_dump(mode="json") for span in spans]
        told["logs"] = [line.model_dump(mode="json") for line in lines]
        output.answer(json.dumps(told))
    else:
        plain = output.ascii_only()
        output.stdout().print(drawing(detail, spans, lines, SystemClock().now(), plain=plain))
