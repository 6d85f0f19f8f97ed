"""`fleet audit`: what people did."""

from typing import Annotated

import typer

from console.commands.options import After, Every, Json, Limit, Watch
from console.session import session_of


def audit(
    context: typer.Context,
    *,
    limit: Limit = 50,
    submissions: Annotated[
        bool,
        typer.Option("--submissions/--no-submissions", help="Also runs that were asked for."),
    ] = True,
    after: After = None,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """List what people did: who, what, to what, and why; the latest first.

    Where there are more, the command that goes on with them is said on stderr.

    With --json, one object a line: `at`, `actor`, `action`, `on`, `reason`, `run`, `task`,
    `redrive`, `facts`.

    \b
    Examples:
      fleet audit
      fleet audit --limit 500 --json
      fleet audit --no-submissions
      fleet audit --watch
    """
    from console import output
    from console.looking import Looking, rows_of, show
    from console.render.audit import acts_table

    with session_of(context).site().reader() as reader:
        looking = Looking(
            look=lambda: rows_of(reader.acts(after, limit, submissions=submissions), watch=watch),
            draw=lambda acts: acts_table(acts, wide=output.is_wide()),
            nothing="nobody has done anything yet",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
