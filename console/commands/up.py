"""`fleet up`: the local stack in the foreground, until Ctrl-C."""

import time

import typer

from console.commands.options import Json, Workers
from console.session import session_of

_LOOK = 0.3
"""Seconds between looks at whether everything still runs."""


def up(context: typer.Context, workers: Workers = 2, as_json: Json = False) -> None:
    """Start the local stack; Ctrl-C stops it.

    The stack is a bus, a dispatcher, workers and the console, each a process of this machine; one
    that dies is started again. Logs are in FLEET_HOME/logs.

    With --json, one object once it is ready: `processes`, `http_host`, `http_port`,
    `console_host`, `console_port`, `bus_port`, `bus_admin_port`.

    \b
    Examples:
      fleet up
      fleet up --workers 4
      FLEET_HTTP_PORT=8780 fleet up
    """
    from console import output
    from console.stack.record import console_address
    from console.stack.running import started_stack

    site = session_of(context).site()
    output.say(f"starting the stack in {site.settings.home} ...")
    with started_stack(site, workers, output.say) as running:
        stack = running.site.stack
        assert stack is not None, "it was started just now"
        if as_json:
            output.answer_json(stack)
        else:
            output.answer(f"the dispatcher listens on http://{stack.http_host}:{stack.http_port}")
            output.answer(f"the console is at {console_address(stack, site.settings.home)}")
            for mark in stack.processes:
                output.answer(f"  {mark.name:<12} process {mark.pid}")
        output.flush()
        output.say("ready; Ctrl-C stops it")
        try:
            while True:
                running.tend()
                time.sleep(_LOOK)
        except KeyboardInterrupt:
            output.say("stopping: what is running may end first ...")
    output.say("stopped")
