"""`fleet lanes`: what is open in the ledger beside what lies on the bus."""

from typing import TYPE_CHECKING

import typer

from console.commands.options import Json
from console.session import session_of

if TYPE_CHECKING:
    from console.site import Site
    from fleet.bus.admin import Counts


def lanes(context: typer.Context, as_json: Json = False) -> None:
    """Show what is open on each lane.

    The ledger's open tasks by state, and beside them the depths of the lane's queue on the bus.

    A paused lane says so; what is put off, of the queued and retrying, waits in the ledger for a
    slot (`fleet slots`) or for the end of a pause (`fleet pauses`).

    With --json, one object a line for each lane: `lane`, `states`, `oldest_queued`, `paused` (null,
    or who, why and since when), `put_off`, and `bus` with `active`, `scheduled` and `dead_letter`,
    or null where the bus does not answer.

    \b
    Examples:
      fleet lanes
      fleet lanes --json
    """
    import json

    from console import output
    from console.render.queues import lanes_table
    from fleet.clock import SystemClock
    from fleet.lanes import load_lanes
    from fleet.ledger.rows import LaneRow

    site = session_of(context).site()
    table = load_lanes(site.settings.lanes_file)
    with site.reader() as reader:
        known = {row.lane: row for row in reader.lanes()}
    rows = [
        known.pop(lane.name, LaneRow(lane=lane.name, states={}, oldest_queued=None))
        for lane in table
    ]
    rows += known.values()  # lanes of an earlier lanes file that still have work
    by_queue = _bus_counts(site)
    bus = None if by_queue is None else {lane.name: by_queue.get(lane.queue) for lane in table}
    if as_json:
        for row in rows:
            counts = None if bus is None else bus.get(row.lane)
            depths = None if counts is None else counts.model_dump(mode="json")
            output.answer(json.dumps({**row.model_dump(mode="json"), "bus": depths}))
    else:
        output.stdout().print(lanes_table(rows, bus, SystemClock().now()))


def _bus_counts(site: "Site") -> "dict[str, Counts] | None":
    """Depths by queue; None, said on stderr, where the bus does not answer."""
    from console.output import say
    from fleet.bus.admin import BusAdmin
    from fleet.bus.errors import BusUnavailable

    if (address := site.bus_admin) is None:
        say("no stack is running here: the bus was not asked")
        return None
    try:
        with BusAdmin(address, site.settings.bus_certificate) as admin:
            return admin.counts()
    except BusUnavailable:
        say("the bus does not answer; see FLEET_BUS_CONNECTION, or `fleet up`")
        return None
