"""Options and arguments that several commands share."""

from typing import Annotated

import typer

from console.complete import run_ids

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        help="Look again and again until Ctrl-C; with --json, what is new or changed is told.",
    ),
]
Every = Annotated[
    float,
    typer.Option(min=0.2, max=3600, metavar="SECONDS", help="With --watch: between two looks."),
]
After = Annotated[
    str | None,
    typer.Option(metavar="CURSOR", help="Go on where a list has ended; it says the cursor."),
]
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's id, or its unique beginning.", autocompletion=run_ids
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, max=64, metavar="N", help="Worker processes of the stack.")
]
