"""What `fleet top` shows: the fleet at one moment, from the ledger and the bus."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime

from console.site import Site
from console.web.bus_view import BusView
from console.web.cluster_view import cluster_view
from console.web.trends import NOTHING, Trends
from contracts.fact import Fact
from contracts.states import State
from fleet.bus.admin import BusAdmin, Counts
from fleet.clock import Clock
from fleet.cluster.rows import ClusterLane
from fleet.lanes import load_lanes
from fleet.ledger.pulse import Attention, Pulse
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import LaneRow, RunRow, WorkerRow


class LaneLook(Fact):
    """One lane now, and how it did in the last hour."""

    lane: str
    states: dict[State, int]
    """Its open tasks."""
    oldest_queued: AwareDatetime | None
    workers: int
    """Live workers that serve it."""
    per_minute: float
    """Tasks that ended, over the last five whole minutes."""
    success: float | None
    """Share of the last hour's tasks that did well, 0 to 1; None where none ended."""
    ended: tuple[int, ...]
    """Tasks that ended in each of the last 60 minutes, the latest last."""
    depth: int | None
    """Messages that the bus could hand out; None where it does not say."""
    dead_letters: int | None
    replicas: int | None = None
    """Pods that the cluster wants for it; None where none is set, or nothing of it is there."""
    ready: int | None = None
    """Those of them that are ready."""


class Look(Fact):
    """The fleet at one moment."""

    at: AwareDatetime
    attention: Attention
    lanes: tuple[LaneLook, ...]
    workers: tuple[WorkerRow, ...]
    """Live ones, the busiest first."""
    runs: tuple[RunRow, ...]
    """Running ones, newest first."""
    bus_trouble: str
    """Why the bus does not tell; empty where it does."""
    cluster_trouble: str = ""
    """Why the cluster does not tell; empty where it does, or none is set."""


class Looker:
    """Looks again and again, keeping what need not be asked twice. Close it."""

    def __init__(self, site: Site, clock: Clock) -> None:
        """Raises Unreachable where there is no ledger, LanesRefused."""
        self._site, self._clock = site, clock
        self._lanes = load_lanes(site.settings.lanes_file)
        self._reader: LedgerReader = site.reader()
        self._pulse = Pulse(site.settings.ledger_reading_address)
        self._trends = Trends(self._pulse)
        self._cluster = cluster_view(site.settings, self._lanes, clock)
        self._bus = BusView(None if site.bus_admin is None else self._depths, clock)

    def close(self) -> None:
        self._reader.close()
        self._pulse.close()

    def look(self, *, runs: int = 10) -> Look:
        """The fleet now, at most `runs` runs of it. Waits for the bus's answer."""
        now = self._clock.now()
        workers = [row for row in self._reader.workers() if row.state == "live"]
        depths = self._bus.refreshed()
        cluster = self._cluster.refreshed()
        return Look(
            at=now,
            attention=self._pulse.attention(now),
            lanes=self._lane_looks(now, workers, depths.queues, cluster.lanes),
            workers=tuple(sorted(workers, key=lambda row: (-row.running, row.worker))),
            runs=tuple(self._reader.runs(limit=runs, state=State.RUNNING)),
            bus_trouble=depths.trouble,
            cluster_trouble=cluster.trouble,
        )

    def _lane_looks(
        self,
        now: datetime,
        workers: list[WorkerRow],
        queues: dict[str, Counts],
        deployed: Mapping[str, ClusterLane],
    ) -> tuple[LaneLook, ...]:
        serving = Counter(lane for row in workers for lane in row.lanes)
        open_ = {row.lane: row for row in self._reader.lanes()}
        trends = self._trends.lanes(now)
        counts = {lane.name: queues.get(lane.queue) for lane in self._lanes}
        names = [lane.name for lane in self._lanes]
        names += sorted((open_.keys() | trends.keys()) - set(names))
        looks = []
        for name in names:
            row = open_.get(name, LaneRow(lane=name, states={}, oldest_queued=None))
            trend, depth = trends.get(name, NOTHING), counts.get(name)
            pods = deployed.get(name)
            looks.append(
                LaneLook(
                    lane=name,
                    states=dict(row.states),
                    oldest_queued=row.oldest_queued,
                    workers=serving[name],
                    per_minute=trend.per_minute,
                    success=trend.success,
                    ended=trend.counts,
                    depth=None if depth is None else depth.active,
                    dead_letters=None if depth is None else depth.dead_letter,
                    replicas=None if pods is None else pods.replicas,
                    ready=None if pods is None else pods.ready,
                )
            )
        return tuple(looks)

    def _depths(self) -> dict[str, Counts]:
        assert self._site.bus_admin is not None
        with BusAdmin(self._site.bus_admin, self._site.settings.bus_certificate) as admin:
            return admin.counts()
