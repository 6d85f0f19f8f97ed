"""`fleet artifact RUN WHICH`: one artifact, its beginning, its lineage, and whether it is whole."""

from pathlib import Path
from typing import Annotated

import typer

from console.commands.options import Json, RunId
from console.session import session_of


def artifact(
    context: typer.Context,
    run_id: RunId,
    which: Annotated[
        str,
        typer.Argument(
            metavar="WHICH", help="Its name, STAGE/NAME, or its digest or that one's beginning."
        ),
    ],
    *,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show the beginning of what is in it.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the bytes now and compare their digest.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Copy the bytes into this new file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one artifact of a run: what made it, from what, and what read it.

    A preview is of Parquet, JSON, CSV, workbook, PDF and text. --verify ends with 1 where the bytes
    are missing or are not those that were recorded.

    With --json, one object: `run`, `task`, `pointer`, `made_from` and `read_by` (the nearest),
    `stages_above` and `stages_below` (however far), `preview` (`tables`, `text`, `note`),
    `verified` (null where it was not asked for), `fault`.

    \b
    Examples:
      fleet artifact 0192f0c1 guarantee_report.pdf
      fleet artifact 0192f0c1 workbook/guarantee_report.xlsx --preview
      fleet artifact 0192f0c1 52b0e7bf --verify --json
    """
    from console import output
    from console.errors import ExitCode
    from console.one_artifact import Asked, drawing, told_of

    site = session_of(context).site()
    told = told_of(site, Asked(run=run_id, which=which, preview=preview, verify=verify, out=out))
    if as_json:
        output.answer_json(told)
    else:
        output.stdout().print(drawing(told))
    if told.fault is not None:
        raise typer.Exit(ExitCode.FAILED)
