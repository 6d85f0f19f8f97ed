"""`fleet artifacts RUN`: what a run made, and a copy of it under readable names."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import After, Json
from console.complete import run_ids
from console.session import session_of

if TYPE_CHECKING:
    from console.site import Site
    from fleet.ledger.rows import ArtifactRow

Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run's id, or its unique beginning; else of all runs.",
        autocompletion=run_ids,
    ),
]
OfTier = Annotated[
    str | None,
    typer.Option("--tier", help="Only one tier: bronze, silver, curated, presented or evidence."),
]
Export = Annotated[
    Path | None,
    typer.Option(help="Copy them into this new or empty folder, with decisions and SHA256SUMS."),
]
OfAll = Annotated[
    str, typer.Option("--text", help="Without RUN: part of the name, the digest, or what made it.")
]
Most = Annotated[
    int,
    typer.Option("--limit", min=1, max=10_000, metavar="N", help="Without RUN: at most so many."),
]


def artifacts(
    context: typer.Context,
    run_id: Run = None,
    *,
    tier: OfTier = None,
    export: Export = None,
    text: OfAll = "",
    limit: Most = 50,
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
    from console.errors import Refused
    from console.looking import rows_of
    from contracts.artifact import Tier

    if tier is not None and tier not in set(Tier):
        raise Refused(f"{tier} is no tier: {', '.join(Tier)}")
    if run_id is None and export is not None:
        raise Refused("say which run's artifacts are to be exported")
    if run_id is not None and (text or after):
        raise Refused("--text and --after are of the list of all runs")
    site = session_of(context).site()
    if run_id is None:
        with site.browser() as browser:
            found = rows_of(browser.artifacts(text=text, cursor=after, limit=limit))
        rows = [row for _, _, row in found if tier in (None, row.pointer.tier)]
    else:
        with site.reader() as reader:
            run = reader.find_run(run_id)
            rows = [row for row in reader.artifacts(run) if tier in (None, row.pointer.tier)]
        if export is not None:
            _export(site, run, rows, export, as_json=as_json)
            return
    _show(rows, as_json=as_json)


def _export(
    site: "Site", run: str, rows: "list[ArtifactRow]", into: Path, *, as_json: bool
) -> None:
    from console import output
    from console.export import exported

    with site.reader() as reader:
        decisions = reader.run_decisions(run)
    for line in exported(rows, site.store(), into, decisions=decisions, as_json=as_json):
        output.answer(line)


def _show(rows: "list[ArtifactRow]", *, as_json: bool) -> None:
    from console.looking import Looking, show
    from console.render.task import artifact_table

    looking = Looking(
        look=lambda: rows,
        draw=lambda some: artifact_table(row.pointer for row in some),
        nothing="no artifacts",
    )
    show(looking, as_json=as_json)
