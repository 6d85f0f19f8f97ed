"""Schedules: which runs come by themselves, what became of their times; pause, resume, trigger."""

from fastapi import FastAPI, Response

from console.web.faults import Unusable
from console.web.render import page
from console.web.visit import Acting, FleetVisited
from contracts.access import Action

TIMES = 10
"""Coming times that are shown."""
_DONE = {"pause": "It fires no more until it is resumed.", "resume": "It fires again."}


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/schedules")
    def schedules(visit: FleetVisited) -> Response:
        return page(visit, "schedules.html", rows=visit.site.reader.schedules())

    @app.get("/schedules/{name}")
    def one_schedule(visit: FleetVisited, name: str) -> Response:
        reader = visit.site.reader
        row = reader.schedule(name)
        times = row.schedule.times(visit.now)
        return page(
            visit,
            "schedule.html",
            row=row,
            times=[at for at, _ in zip(times, range(TIMES), strict=False)],
            fires=reader.fires(name),
            changes=reader.audit("schedule", name),
            refused=visit.refused(Action.SCHEDULE_CHANGE),
            trigger_refused=visit.refused(Action.RUN_SUBMIT),
        )

    @app.post("/schedules/{name}")
    def switch(visit: FleetVisited, form: Acting, name: str) -> Response:
        way = form.get("way", "")
        if way not in (*_DONE, "trigger"):
            raise Unusable("pause it, resume it, or trigger a run")
        visit.must(Action.RUN_SUBMIT if way == "trigger" else Action.SCHEDULE_CHANGE)
        asked = {"requester": visit.identity.name, "reason": form.said("reason", "why")}
        with visit.intake() as intake:
            answer = intake.switch_schedule(name, way, asked)
        said = _DONE.get(way) or f"Run {answer['run']} was asked for."
        return visit.back_to(f"/schedules/{name}", said)
