"""`fleet task TASK`: everything that is known of one task."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Every, Json, Watch
from console.session import session_of

if TYPE_CHECKING:
    from fleet.ledger.reader import LedgerReader


def task(
    context: typer.Context,
    task_id: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id, or its unique beginning.")
    ],
    *,
    logs: Annotated[
        bool, typer.Option("--logs", help="Only what was logged while it was carried out.")
    ] = False,
    watch: Watch = False,
    every: Every = 1.0,
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
      fleet task 5b1e --logs --watch
      fleet task 5b1e --json
    """
    import json

    from console import output
    from console.errors import Refused
    from console.render.task import drawing
    from fleet.clock import SystemClock
    from fleet.telemetry.lines import lines_of, true_spans, without_lines

    if watch and not logs:
        raise Refused("--watch needs --logs; a run is watched with `fleet run RUN --watch`")
    with session_of(context).site().reader() as reader:
        detail = reader.task(reader.find_task(task_id))
        if logs:
            _show_logs(reader, detail.task, as_json=as_json, watch=watch, every=every)
            return
        own = reader.spans(detail.trace_id, detail.task) if detail.trace_id else []
    lines, spans = lines_of(own), true_spans(own)
    if as_json:
        told = detail.model_dump(mode="json")
        told["spans"] = [without_lines(span).model_dump(mode="json") for span in spans]
        told["logs"] = [line.model_dump(mode="json") for line in lines]
        output.answer(json.dumps(told))
    else:
        plain = output.ascii_only()
        output.stdout().print(drawing(detail, spans, lines, SystemClock().now(), plain=plain))


def _show_logs(
    reader: "LedgerReader", task: str, *, as_json: bool, watch: bool, every: float
) -> None:
    from console import output
    from console.looking import Looking, show
    from console.render.task import log_lines
    from fleet.telemetry.lines import LogLine, left_out, lines_of

    def look() -> list[LogLine]:
        detail = reader.task(task)
        own = reader.spans(detail.trace_id, task) if detail.trace_id else []
        if (gone := left_out(own)) and not watch:
            output.say(f"{gone:,} earlier lines were not kept")
        return lines_of(own)

    looking = Looking(look=look, draw=log_lines, nothing="nothing was logged")
    show(looking, as_json=as_json, watch=watch, every=every)
