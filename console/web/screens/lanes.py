"""Lanes: each queue from the bus and from the ledger side by side, and where the two differ."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import FastAPI, Response

from console.web.bus_view import Depths
from console.web.faults import Unusable
from console.web.render import page
from console.web.screens.overview import LaneView, lane_views
from console.web.visit import Acting, FleetVisited, Visit
from contracts.access import Action
from contracts.lane import Lane
from contracts.states import State
from fleet.bus.bus import INTAKE_QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One number of a queue as both sides tell it; None where the bus does not."""

    name: str
    bus: int | None
    ledger: int | None
    means: str
    """What of the ledger it is."""

    @property
    def apart(self) -> int:
        """The bus less the ledger; 0 where one of them does not say."""
        return 0 if self.bus is None or self.ledger is None else self.bus - self.ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One queue. `since`: from when on its sides have differed without a break."""

    name: str
    lane: Lane | None
    view: LaneView | None
    sides: tuple[Side, ...]
    since: datetime | None

    @property
    def differs(self) -> bool:
        return any(side.apart for side in self.sides)


def serve(app: FastAPI) -> None:
    """Add the page to `app`."""

    @app.get("/lanes")
    def lanes(visit: FleetVisited) -> Response:
        depths = visit.site.bus.depths()
        views = {view.name: view for view in lane_views(visit, visit.site.reader.workers(), depths)}
        return page(
            visit,
            "lanes.html",
            queues=_queues(visit, views, depths),
            others=[view for name, view in views.items() if name not in _names(visit)],
            depths=depths,
            paused=[row for row in visit.site.reader.pauses() if row.what == "pipeline"],
            pipelines=visit.site.browser.pipelines(),
            slots=visit.site.reader.slots(),
            pause_refused=visit.refused(Action.LANE_PAUSE),
        )

    @app.post("/lanes/pause")
    def pause(visit: FleetVisited, form: Acting) -> Response:
        visit.must(Action.LANE_PAUSE)
        what, sign, name = form.get("name", "").partition(":")
        if not sign or what not in ("lane", "pipeline"):
            raise Unusable("which lane, or which pipeline?")
        resume = form.get("way") == "resume"
        asked = {"requester": visit.identity.name, "reason": form.said("reason", "why")}
        with visit.intake() as intake:
            intake.pause(what, name, asked, resume=resume)
        said = "goes on." if resume else "is paused: nothing new starts, and what runs goes on."
        return visit.back_to("/lanes", f"The {what} {name} {said}")


def _queues(visit: Visit, views: dict[str, LaneView], depths: Depths) -> list[QueueView]:
    noted = visit.site.browser.messages_by_queue()
    found = []
    for lane in visit.site.lanes:
        view = views[lane.name]
        states, counts = view.row.states, depths.queues.get(lane.queue)
        sides = (
            Side(
                name="Active",
                bus=None if counts is None else counts.active,
                # A message is on its queue, locked, until its task is recorded and it is settled.
                ledger=states.get(State.QUEUED, 0) + states.get(State.RUNNING, 0),
                means="queued and running",
            ),
            Side(
                name="Scheduled",
                bus=None if counts is None else counts.scheduled,
                ledger=states.get(State.RETRYING, 0),
                means="retrying",
            ),
            _dead(None if counts is None else counts.dead_letter, noted.get(lane.queue, 0)),
        )
        found.append(_with_since(visit, lane.queue, lane, view, sides))
    counts = depths.queues.get(INTAKE_QUEUE)
    intake = (
        Side(
            name="Active",
            bus=None if counts is None else counts.active,
            ledger=None,
            means="requests are no runs yet",
        ),
        _dead(None if counts is None else counts.dead_letter, noted.get(INTAKE_QUEUE, 0)),
    )
    return [*found, _with_since(visit, INTAKE_QUEUE, None, None, intake)]


def _with_since(
    visit: Visit, queue: str, lane: Lane | None, view: LaneView | None, sides: tuple[Side, ...]
) -> QueueView:
    apart = any(side.apart for side in sides)
    since = visit.site.bus.apart(queue, apart=apart, now=visit.now)
    return QueueView(name=queue, lane=lane, view=view, sides=sides, since=since)


def _dead(bus: int | None, ledger: int) -> Side:
    return Side(name="Dead-lettered", bus=bus, ledger=ledger, means="messages not taken")


def _names(visit: Visit) -> set[str]:
    return {lane.name for lane in visit.site.lanes}
