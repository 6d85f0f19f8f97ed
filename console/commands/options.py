"""Options and arguments that several commands share."""

from typing import Annotated

import typer

from console.complete import run_ids

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
RunId = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run's id, or its unique beginning.", autocompletion=run_ids
    ),
]
Workers = Annotated[
    int, typer.Option(min=1, max=64, metavar="N", help="Worker processes of the stack.")
]
