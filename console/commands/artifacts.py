"""`fleet artifacts RUN`: what a run made, and a copy of it under readable names."""

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import Json, RunId
from console.session import session_of


def artifacts(
    context: typer.Context,
    run_id: RunId,
    tier: Annotated[
        str | None,
        typer.Option(help="Only one tier: bronze, silver, curated, presented or evidence."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Copy them into this new or empty folder, with decisions and SHA256SUMS."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List a run's artifacts, or export them.

    An export has every decision of the run's gates beside the artifacts, in decisions.jsonl: a line
    each, with its task, rules, reasons, facts, and the digest of the rules.

    With --json, one object a line for each artifact; with --export, `path` says where it lies in
    the folder. `sha256sum -c SHA256SUMS` checks an export.

    \b
    Examples:
      fleet artifacts 0192f0c1
      fleet artifacts 0192f0c1 --tier presented --export ./report
      fleet artifacts 0192f0c1 --json
    """
    from console import output
    from console.errors import Refused
    from console.export import exported
    from console.render.task import artifact_table
    from contracts.artifact import Tier

    if tier is not None and tier not in set(Tier):
        raise Refused(f"{tier} is no tier: {', '.join(Tier)}")
    site = session_of(context).site()
    with site.reader() as reader:
        run = reader.find_run(run_id)
        rows = [row for row in reader.artifacts(run) if tier in (None, row.pointer.tier)]
        decisions = [] if export is None else reader.run_decisions(run)
    if export is not None:
        store = site.store()
        for line in exported(rows, store, export, decisions=decisions, as_json=as_json):
            output.answer(line)
    elif as_json:
        output.answer_rows(rows)
    elif rows:
        output.stdout().print(artifact_table(row.pointer for row in rows))
    else:
        output.say("no artifacts")
