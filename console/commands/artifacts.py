"""`fleet artifacts RUN`: what a run made, and a copy of it under readable names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import After, Json
from console.complete import run_ids
from console.session import session_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.ledger.rows import ArtifactRow


def artifacts(
    context: typer.Context,
    run_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's id, or its unique beginning; else of all runs.",
            autocompletion=run_ids,
        ),
    ] = None,
    *,
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
    text: Annotated[
        str, typer.Option(help="Without RUN: part of the name, the digest, or what made it.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Without RUN: at most so many.")
    ] = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List a run's artifacts, or export them; without RUN, the latest of all runs.

    An export has every decision of the run's gates beside the artifacts, in decisions.jsonl: a line
    each, with its task, rules, reasons, facts, and the digest of the rules.

    With --json, one object a line for each artifact; with --export, `path` says where it lies in
    the folder. `sha256sum -c SHA256SUMS` checks an export. `fleet artifact` shows one of them.

    \b
    Examples:
      fleet artifacts 0192f0c1
      fleet artifacts 0192f0c1 --tier presented --export ./report
      fleet artifacts 0192f0c1 --json
      fleet artifacts --text workbook
    """
    from console import output
    from console.errors import Refused
    from console.export import exported
    from contracts.artifact import Tier

    if tier is not None and tier not in set(Tier):
        raise Refused(f"{tier} is no tier: {', '.join(Tier)}")
    site = session_of(context).site()
    if run_id is None:
        if export is not None:
            raise Refused("say which run's artifacts are to be exported")
        with site.browser() as browser:
            page = browser.artifacts(text=text, cursor=after, limit=limit)
        if page.next is not None:
            output.say(f"there are more: --after {page.next}")
        found = [row for _, _, row in page.rows if tier in (None, row.pointer.tier)]
        _shown(found, as_json=as_json)
        return
    if text or after:
        raise Refused("--text and --after are of the list of all runs")
    with site.reader() as reader:
        run = reader.find_run(run_id)
        rows = [row for row in reader.artifacts(run) if tier in (None, row.pointer.tier)]
        decisions = [] if export is None else reader.run_decisions(run)
    if export is not None:
        store = site.store()
        for line in exported(rows, store, export, decisions=decisions, as_json=as_json):
            output.answer(line)
    else:
        _shown(rows, as_json=as_json)


def _shown(rows: "Sequence[ArtifactRow]", *, as_json: bool) -> None:
    from console import output
    from console.render.task import artifact_table

    if as_json:
        output.answer_rows(rows)
    elif rows:
        output.stdout().print(artifact_table(row.pointer for row in rows))
    else:
        output.say("no artifacts")
