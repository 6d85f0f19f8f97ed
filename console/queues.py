"""Lanes in the ledger, and beside each the depths of its queue on the bus."""

from console.output import say
from console.site import Site
from console.web.cluster_view import cluster_view
from fleet.bus.admin import BusAdmin, Counts
from fleet.bus.errors import BusUnavailable
from fleet.clock import Clock
from fleet.lanes import load_lanes
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import LaneRow


class LaneBeside(LaneRow):
    """One lane."""

    bus: Counts | None
    """None where the bus does not answer."""
    replicas: int | None
    """Pods that the cluster wants for it; None where none is set, or nothing of it is there."""
    ready: int | None
    """Those of them that are ready."""


class LanesBeside:
    """Looks again and again. Says once, on stderr, why the bus or the cluster does not tell."""

    def __init__(self, site: Site, reader: LedgerReader, clock: Clock) -> None:
        """Raises LanesRefused."""
        self._site, self._reader = site, reader
        self._lanes = load_lanes(site.settings.lanes_file)
        self._cluster = cluster_view(site.settings, self._lanes, clock)
        self._said: set[str] = set()

    def look(self) -> list[LaneBeside]:
        """Lanes in the order of the lanes file."""
        known = {row.lane: row for row in self._reader.lanes()}
        rows = [
            known.pop(lane.name, LaneRow(lane=lane.name, states={}, oldest_queued=None))
            for lane in self._lanes
        ]
        rows += known.values()  # lanes of an earlier lanes file that still have work
        depths = self._depths()
        queues = {lane.name: lane.queue for lane in self._lanes}
        cluster = self._cluster.refreshed()
        if cluster.trouble:
            self._say(cluster.trouble)
        found = []
        for row in rows:
            pods = cluster.lanes.get(row.lane)
            found.append(
                LaneBeside(
                    **row.model_dump(),
                    bus=depths.get(queues.get(row.lane, "")),
                    replicas=None if pods is None else pods.replicas,
                    ready=None if pods is None else pods.ready,
                )
            )
        return found

    def _depths(self) -> dict[str, Counts]:
        """By queue; none where the bus does not answer."""
        if (address := self._site.bus_admin) is None:
            self._say("no stack is running here: the bus was not asked")
            return {}
        try:
            with BusAdmin(address, self._site.settings.bus_certificate) as admin:
                return admin.counts()
        except BusUnavailable:
            self._say("the bus does not answer; see FLEET_BUS_CONNECTION, or `fleet up`")
            return {}

    def _say(self, line: str) -> None:
        if line not in self._said:
            say(line)
        self._said.add(line)
