"""Overview: what needs attention first, then how each lane does."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from console.render.marks import span
from console.web.bus_view import Depths
from console.web.render import page
from console.web.trends import NOTHING, Trend
from console.web.visit import Visit, Visited
from contracts.access import Action
from contracts.states import State
from fleet.cluster.rows import ClusterLane
from fleet.ledger.browse import RunFilter
from fleet.ledger.pulse import Attention
from fleet.ledger.rows import LaneRow, WorkerRow

LATE = timedelta(minutes=5)
"""A task that has been on its queue for so long is worth a look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane, from the ledger, the bus and the workers."""

    name: str
    row: LaneRow
    trend: Trend
    workers: int
    depth: int | None
    """Messages that the bus could hand out now; None where it does not say."""
    replicas: ClusterLane | None
    """None where no cluster is set, where it does not say, and where nothing is deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing that needs people. `grave`: work does not go on without them."""

    grave: bool
    text: str
    detail: str
    href: str


def serve(app: FastAPI) -> None:
    """Add the page to `app`."""

    @app.get("/")
    def overview(visit: Visited, request: Request) -> Response:
        if visit.refused(Action.FLEET_SEE) is not None:
            return RedirectResponse("/runs", status_code=303)
        site = visit.site
        workers, depths = site.reader.workers(), site.bus.depths()
        attention = site.pulse.attention(visit.now)
        lanes = lane_views(visit, workers, depths)
        return page(
            visit,
            "overview.html",
            lanes=lanes,
            attention=attention,
            concerns=concerns(visit, attention, lanes, depths),
            all=_together(lanes),
            latest=site.browser.runs(RunFilter(), limit=8).rows,
            depths=depths,
            cluster=site.cluster.replicas() if site.cluster.is_set else None,
        )


def lane_views(visit: Visit, workers: list[WorkerRow], depths: Depths) -> list[LaneView]:
    """The lanes of the lanes file in its order, then others that still have work."""
    site = visit.site
    open_ = {row.lane: row for row in site.reader.lanes()}
    trends = site.trends.lanes(visit.now)
    names = [lane.name for lane in site.lanes]
    names += sorted((open_.keys() | trends.keys()) - set(names))
    serving = Counter(lane for one in workers if one.state == "live" for lane in one.lanes)
    queues = {lane.name: depths.queues.get(lane.queue) for lane in site.lanes}
    deployed = site.cluster.replicas().lanes
    views = []
    for name in names:
        counts = queues.get(name)
        views.append(
            LaneView(
                name=name,
                row=open_.get(name, LaneRow(lane=name, states={}, oldest_queued=None)),
                trend=trends.get(name, NOTHING),
                workers=serving[name],
                depth=None if counts is None else counts.active,
                replicas=deployed.get(name),
            )
        )
    return views


def concerns(
    visit: Visit, attention: Attention, lanes: list[LaneView], depths: Depths
) -> list[Concern]:
    """What needs people, the grave first."""
    found = [concern for lane in lanes for concern in _of_lane(lane, visit.now)]
    if attention.held:
        expiry = attention.next_expiry
        left = "" if expiry is None else f"; the first expires in {span(expiry - visit.now)}"
        text = _counted(attention.held, "task waits", "tasks wait") + " for approval"
        found.append(_grave(text, f"held until people have a word{left}", "/approvals"))
    if depths.trouble:
        found.append(_grave("Queue depths are not known", depths.trouble, "/lanes"))
    found += [
        Concern(grave=False, text=_counted(count, one, many), detail=detail, href=href)
        for count, one, many, detail, href in (
            (
                attention.dead,
                "dead letter",
                "dead letters",
                "grouped by cause; redrive what was mended",
                "/dead-letters",
            ),
            (
                attention.parked,
                "task is parked",
                "tasks are parked",
                "no worker here knows their kind yet",
                "/dead-letters",
            ),
            (
                attention.runs_failed,
                "run of the last day failed",
                "runs of the last day failed",
                "each says which task and why",
                "/runs?state=failed",
            ),
            (
                attention.workers_gone,
                "worker left within the hour",
                "workers left within the hour",
                "their tasks were taken over",
                "/workers",
            ),
        )
        if count
    ]
    return sorted(found, key=lambda concern: not concern.grave)


def _of_lane(lane: LaneView, now: datetime) -> Iterator[Concern]:
    yield from _of_cluster(lane)
    queued, oldest = lane.row.states.get(State.QUEUED, 0), lane.row.oldest_queued
    if (pause := lane.row.paused) is not None:
        text, detail = f"Lane {lane.name} is paused", f"by {pause.actor}: {pause.reason}"
        yield Concern(grave=False, text=text, detail=detail, href="/lanes")
    elif queued and not lane.workers:
        detail = f"{queued:,} tasks queued; start a worker of it"
        yield _grave(f"Lane {lane.name} has work and no worker", detail, "/workers")
    elif oldest is not None and now - oldest > LATE:
        detail = f"its oldest task has been queued for {span(now - oldest)}"
        yield _grave(f"Lane {lane.name} falls behind", detail, "/lanes")


def _of_cluster(lane: LaneView) -> Iterator[Concern]:
    """What keeps a lane from having its pods."""
    if (there := lane.replicas) is None:
        return
    if there.scaler_fault:
        yield _grave(f"Lane {lane.name} does not scale", there.scaler_fault, "/workers#pods")
    why = sorted({pod.why for pod in there.pods if pod.why and not pod.ready})
    if why:
        text = f"Pods of lane {lane.name} do not run"
        yield Concern(grave=False, text=text, detail=", ".join(why), href="/workers#pods")


def _grave(text: str, detail: str, href: str) -> Concern:
    return Concern(grave=True, text=text, detail=detail, href=href)


def _together(lanes: list[LaneView]) -> Trend:
    return Trend(
        counts=tuple(map(sum, zip(*(lane.trend.counts for lane in lanes), strict=True))),
        failed=tuple(map(sum, zip(*(lane.trend.failed for lane in lanes), strict=True))),
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
