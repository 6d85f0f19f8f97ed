"""`fleet bus`: what the namespace holds, made to be what the lanes need."""

from typing import TYPE_CHECKING, Annotated

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from fleet.bus.provision import Difference

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def bus() -> None:
    """Look after the bus's queues, topics and rules."""


@app.command()
def apply(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 where something differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the queues, topics and rules that the lanes file asks for.

    What is there already is brought up to date, what else lies in the namespace is left alone, and
    applying again changes nothing. Duplicate detection cannot be switched on later: such a queue is
    told, and must be drained and deleted by hand.

    Needs an account that may manage (role Azure Service Bus Data Owner).

    With --json, one object a line for each difference: `entity`, `action` (create, update or
    recreate), `field`, `found`, `wanted`.

    \b
    Examples:
      fleet bus apply --check
      FLEET_BUS_NAMESPACE=NAME.servicebus.windows.net fleet bus apply
    """
    from console import output
    from console.errors import ExitCode, Unreachable
    from fleet.bus.admin import BusAdmin
    from fleet.bus.topology import load_feeds, wanted
    from fleet.lanes import load_lanes

    site = session_of(context).site()
    if (address := site.bus_admin) is None:
        raise Unreachable(
            "no bus is known here: set FLEET_BUS_NAMESPACE or FLEET_BUS_CONNECTION, or start the "
            "stack with `fleet up`"
        )
    lanes = load_lanes(site.settings.lanes_file)
    topology = wanted(lanes, load_feeds(site.settings.lanes_file, lanes))
    with BusAdmin(address, site.settings.bus_certificate) as admin:
        found = admin.differences(topology) if check else admin.apply(topology)
    if as_json:
        output.answer_rows(found)
    else:
        for one in found:
            output.answer(_line(one, check=check))
        if not found:
            output.say("the bus is as the lanes need it")
    left = found if check else [one for one in found if one.action == "recreate"]
    if left:
        raise typer.Exit(ExitCode.FAILED)


def _line(one: "Difference", *, check: bool) -> str:
    if one.action == "create":
        return f"{one.entity}: {'is missing' if check else 'created'}"
    change = f"{one.entity}: {one.field} is {one.found or 'absent'}, wanted {one.wanted or 'none'}"
    if one.action == "recreate":
        return f"{change}; only a new queue can have it: drain this one and delete it"
    return change if check else f"{change}: updated"
