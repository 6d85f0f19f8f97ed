"""`fleet config`: the settings in force, and where each comes from."""

import typer

from console.commands.options import Json
from console.session import session_of


def config(context: typer.Context, as_json: Json = False) -> None:
    """Show the settings in force.

    Secrets are masked. A setting comes from an option, the environment, the running stack, or is
    the default.

    With --json, one object: `settings` with `value` and `origin` each, `sources` by name, and the
    running `stack` or null.

    \b
    Examples:
      fleet config
      FLEET_HOME=/var/lib/fleet fleet config --json
    """
    import json

    from console import output
    from console.effective import effective
    from console.sources import masked
    from fleet.sources import read_sources

    site = session_of(context).site()
    settings = effective(site)
    addresses = read_sources(site.settings.sources_file)
    sources = {name: masked(address) for name, address in addresses.items()}
    stack = None if site.stack is None else site.stack.model_dump(mode="json")
    if as_json:
        output.answer(json.dumps({"settings": settings, "sources": sources, "stack": stack}))
        return
    for name, told in settings.items():
        output.answer(f"{name:<24} {told['value'] or '-'}   ({told['origin']})")
    for name, address in sources.items():
        output.answer(f"source {name:<17} {address}")
    running = (
        ", ".join(f"{mark.name} {mark.pid}" for mark in site.stack.alive) if site.stack else ""
    )
    output.answer(f"{'stack':<24} {running or 'not running'}")
