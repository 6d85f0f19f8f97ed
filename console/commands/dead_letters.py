"""`fleet dead-letters`: tasks that failed for good, and messages that nobody could take."""

from typing import Annotated

import typer

from console.commands.options import Json
from console.session import session_of


def dead_letters(
    context: typer.Context,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")
    ] = 50,
    as_json: Json = False,
) -> None:
    """List what did not get through, and why.

    Tasks that failed, were denied or parked, and messages that could not be taken; newest first.

    With --json, one object a line: `what` (task or message), `where`, `state`, `reason`,
    `description`, `id`, `run`, `task`, `at`.

    \b
    Examples:
      fleet dead-letters
      fleet dead-letters --json
    """
    from console import output
    from console.render.queues import dead_table

    with session_of(context).site().reader() as reader:
        rows = reader.dead_letters(limit)
    if as_json:
        output.answer_rows(rows)
    elif rows:
        output.stdout().print(dead_table(rows))
    else:
        output.say("nothing is dead-lettered")
