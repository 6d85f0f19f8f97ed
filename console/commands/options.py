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
Limit = Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")]
Requester = Annotated[str | None, typer.Option(help="Who asks; default: the name of this user.")]
WaitSeconds = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0, metavar="SECONDS", help="With --wait: at most so many seconds."
    ),
]

# Which runs: what `console.run_filter` takes.
OfPipeline = Annotated[str | None, typer.Option("--pipeline", help="Only runs of this pipeline.")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only runs of this tenant.")]
WithText = Annotated[
    str,
    typer.Option("--text", help="Part of the id, the requester, the key or a parameter's value."),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Submitted since: 90m, 24h, 7d ago, or a time in UTC."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Submitted before: the same.")]

# What a run is asked for with.
Tenant = Annotated[str, typer.Option(help="Whose data it is.")]
SeenBy = Annotated[
    str, typer.Option("--audience", help="Who may see what is made: internal or tenant.")
]
Priority = Annotated[int, typer.Option(min=0, max=9, metavar="N", help="9 is the most urgent.")]
Flags = Annotated[
    list[str] | None,
    typer.Option("--flag", metavar="NAME", help="An explicit permission, for example mutate."),
]
