"""`fleet down`: stop the stack that runs on this home, whoever started it."""

import typer

from console.session import session_of


def down(context: typer.Context) -> None:
    """Stop the local stack.

    Also one that `fleet demo --keep` left running, or that a `fleet up` elsewhere looks after.

    \b
    Examples:
      fleet down
      fleet --home /tmp/demo down
    """
    from console import output
    from console.stack.process import stop
    from console.stack.record import forget
    from console.stack.stack import STOP_PATIENCE, stop_in_order

    site = session_of(context).site()
    if site.stack is None:
        output.say(f"no stack is running in {site.settings.home}")
        return
    grace = site.settings.grace
    supervisor = site.stack.supervisor
    if supervisor is not None and supervisor.alive:
        # It would start again whatever is stopped here; told to end, it stops everything in order.
        stop([supervisor], grace + 4 * STOP_PATIENCE)
    stop_in_order(site.stack.processes, grace)
    forget(site.settings.stack_file)
    output.say("stopped")
