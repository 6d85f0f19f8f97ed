"""`fleet audit`: what people did."""

from typing import Annotated

import typer

from console.commands.options import After, Every, Json, Watch
from console.session import session_of


def audit(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")
    ] = 50,
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

    Where there is more, the command that goes on with it is said on stderr.

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
    from console.looking import Looking, show
    from console.render.audit import acts_table
    from fleet.ledger.audit import Act

    with session_of(context).site().reader() as reader:

        def look() -> tuple[Act, ...]:
            page = reader.acts(after, limit, submissions=submissions)
            if page.next is not None and not watch:
                output.say(f"there is more: --after {page.next}")
            return page.rows

        looking = Looking(
            look=look,
            draw=lambda acts: acts_table(acts, wide=output.is_wide()),
            nothing="nobody has done anything yet",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
