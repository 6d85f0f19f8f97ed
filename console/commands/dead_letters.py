"""`fleet dead-letters`: tasks that failed for good, and messages that nobody could take."""

from typing import Annotated

import typer

from console.commands.options import Every, Json, Watch
from console.session import session_of


def dead_letters(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="At most so many.")
    ] = 50,
    groups: Annotated[
        bool, typer.Option("--groups", help="By cause: those with one fingerprint together.")
    ] = False,
    watch: Watch = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """List what did not get through, and why.

    Tasks that failed, were denied or parked, and messages that could not be taken; newest first.
    With --groups, the largest groups first; runs that were cancelled are left out of them.

    With --json, one object a line: `what` (task or message), `where`, `state`, `reason`,
    `description`, `id`, `run`, `task`, `at`; and with --groups `fingerprint`, `what`, `reason`,
    `sample`, `sample_id`, `count`, `first`, `last`, `where`, `trend` (24 hours, the latest last).

    \b
    Examples:
      fleet dead-letters
      fleet dead-letters --groups
      fleet dead-letters --groups --watch
      fleet dead-letters --json
    """
    from console import output
    from console.looking import Looking, show
    from console.render.queues import dead_table, group_table
    from fleet.clock import SystemClock

    nothing = "nothing is dead-lettered"
    with session_of(context).site().reader() as reader:
        if groups:
            of_groups = Looking(
                look=lambda: reader.dead_groups(SystemClock().now(), limit),
                draw=lambda rows: group_table(
                    rows, plain=output.ascii_only(), wide=output.is_wide()
                ),
                nothing=nothing,
            )
            show(of_groups, as_json=as_json, watch=watch, every=every)
        else:
            of_letters = Looking(
                look=lambda: reader.dead_letters(limit),
                draw=lambda rows: dead_table(rows, wide=output.is_wide()),
                nothing=nothing,
            )
            show(of_letters, as_json=as_json, watch=watch, every=every)
