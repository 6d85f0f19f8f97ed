"""`fleet top`: the fleet in the terminal, live."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from console.top import Looker


def top(
    context: typer.Context,
    *,
    every: Annotated[
        float, typer.Option(min=0.2, max=3600, metavar="SECONDS", help="Between two looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: Json = False,
) -> None:
    """Watch lanes, workers and running runs; Ctrl-C ends it.

    Where the answer goes into a pipe or file it is one look, unless --json asks for a stream.

    With --json, one object a line for each look: `at`, `attention`, `lanes`, `workers`, `runs`,
    `bus_trouble`, `cluster_trouble`.

    \b
    Examples:
      fleet top
      fleet top --every 5
      fleet top --once --json
    """
    import sys
    import time

    from console import output
    from console.render.top import picture
    from console.top import Looker
    from fleet.clock import SystemClock

    looker = Looker(session_of(context).site(), SystemClock())
    try:
        if as_json:
            while True:
                output.answer_json(looker.look())
                output.flush()
                if once:
                    return
                time.sleep(every)
        if once or not sys.stdout.isatty():
            drawn = picture(looker.look(), plain=output.ascii_only(), wide=output.is_wide())
            output.stdout().print(drawn)
            return
        _live(looker, every)
    finally:
        looker.close()


def _live(looker: "Looker", every: float) -> None:
    """Redraw the whole screen until Ctrl-C, and give the terminal back as it was."""
    import time

    from rich.live import Live

    from console import output
    from console.render.top import picture

    plain = output.ascii_only()
    with Live(console=output.stdout(), auto_refresh=False, screen=True) as live:
        while True:
            live.update(picture(looker.look(), plain=plain, wide=output.is_wide()), refresh=True)
            time.sleep(every)
