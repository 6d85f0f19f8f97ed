"""Overview: what needs attention first, then how each lane does."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from console.render.marks import span
from console.web.bus_view import Depths
from console.web.render import page
from console.web.trends import NOTHING, Trend
from console.web.visit import Visit, Visited
from contracts.access import Action
from contracts.states import State
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
            )
        )
    return views


def concerns(
    visit: Visit, attention: Attention, lanes: list[LaneView], depths: Depths
) -> list[Concern]:
    """What needs people, the grave first."""
    found = [
        Concern(
            grave=True,
            text=f"Lane {lane.name} has work and no worker",
            detail=f"{lane.row.states.get(State.QUEUED, 0):,} tasks queued; start a worker of it",
            href="/workers",
        )
        for lane in lanes
        if lane.row.states.get(State.QUEUED) and not lane.workers
    ]
    for lane in lanes:
        oldest = lane.row.oldest_queued
        if lane.workers and oldest is not None and visit.now - oldest > LATE:
            found.append(
                Concern(
                    grave=True,
                    text=f"Lane {lane.name} falls behind",
                    detail=f"its oldest task has been queued for {span(visit.now - oldest)}",
                    href="/lanes",
                )
            )
    if attention.held:
        expiry = attention.next_expiry
        left = "" if expiry is None else f"; the first expires in {span(expiry - visit.now)}"
        found.append(
            Concern(
                grave=True,
                text=_counted(attention.held, "task waits", "tasks wait") + " for approval",
                detail=f"held until people have a word{left}",
                href="/approvals",
            )
        )
    if depths.trouble:
        found.append(
            Concern(
                grave=True, text="Queue depths are not known", detail=depths.trouble, href="/lanes"
            )
        )
    if attention.dead:
        found.append(
            Concern(
                grave=False,
                text=_counted(attention.dead, "dead letter", "dead letters"),
                detail="grouped by cause; redrive what was mended",
                href="/dead-letters",
            )
        )
    if attention.parked:
        found.append(
            Concern(
                grave=False,
                text=_counted(attention.parked, "task is parked", "tasks are parked"),
                detail="no worker here knows their kind yet",
                href="/dead-letters",
            )
        )
    if attention.runs_failed:
        found.append(
            Concern(
                grave=False,
                text=_counted(attention.runs_failed, "run", "runs") + " of the last day failed",
                detail="each says which task and why",
                href="/runs?state=failed",
            )
        )
    if attention.workers_gone:
        found.append(
            Concern(
                grave=False,
                text=_counted(attention.workers_gone, "worker", "workers")
                + " left within the hour",
                detail="their tasks were taken over",
                href="/workers",
            )
        )
    return sorted(found, key=lambda concern: not concern.grave)


def _together(lanes: list[LaneView]) -> Trend:
    return Trend(
        counts=tuple(map(sum, zip(*(lane.trend.counts for lane in lanes), strict=True))),
        failed=tuple(map(sum, zip(*(lane.trend.failed for lane in lanes), strict=True))),
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
