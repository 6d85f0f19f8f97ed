"""`fleet lanes`: what is open in the ledger beside what lies on the bus."""

import typer

from console.commands.options import Every, Json, Watch
from console.session import session_of


def lanes(
    context: typer.Context, *, watch: Watch = False, every: Every = 1.0, as_json: Json = False
) -> None:
    """Show what is open on each lane.

    The ledger's open tasks by state, and beside them the depths of the lane's queue on the bus.

    A paused lane says so; what is put off, of the queued and retrying, waits in the ledger for a
    slot (`fleet slots`) or for the end of a pause (`fleet pauses`).

    With --json, one object a line for each lane: `lane`, `states`, `oldest_queued`, `paused` (null,
    or who, why and since when), `put_off`, and `bus` with `active`, `scheduled` and `dead_letter`,
    or null where the bus does not answer; `replicas` and `ready`: the pods that the cluster wants
    and those that are ready, null where no cluster is set (FLEET_CLUSTER).

    \b
    Examples:
      fleet lanes
      fleet lanes --watch
      fleet lanes --json
    """
    from console import output
    from console.looking import Looking, show
    from console.queues import LanesBeside
    from console.render.queues import lanes_table
    from fleet.clock import SystemClock

    site, clock = session_of(context).site(), SystemClock()
    with site.reader() as reader:
        looking = Looking(
            look=LanesBeside(site, reader, clock).look,
            draw=lambda rows: lanes_table(rows, clock.now(), wide=output.is_wide()),
            nothing="no lanes",
        )
        show(looking, as_json=as_json, watch=watch, every=every)
