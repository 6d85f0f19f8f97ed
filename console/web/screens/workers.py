"""Workers: what each does now, its pods where a cluster is set, and which went away."""

from collections import defaultdict

from fastapi import FastAPI, Response

from console.web.render import page
from console.web.visit import Acting, FleetVisited
from contracts.access import Action
from fleet.ledger.rows import TaskRow

GONE = 20
"""Workers that went away, shown of all that ever did; the latest."""


def serve(app: FastAPI) -> None:
    """Add the page to `app`."""

    @app.get("/workers")
    def workers(visit: FleetVisited) -> Response:
        rows = visit.site.reader.workers()
        doing: defaultdict[str, list[TaskRow]] = defaultdict(list)
        for task in visit.site.browser.held_by_workers():
            doing[task.worker or ""].append(task)
        gone = [row for row in rows if row.state == "gone"]
        return page(
            visit,
            "workers.html",
            live=[row for row in rows if row.state == "live"],
            gone=sorted(gone, key=lambda row: row.last_seen, reverse=True)[:GONE],
            gone_count=len(gone),
            doing=doing,
            drain_refused=visit.refused(Action.WORKER_DRAIN),
            scale_refused=visit.refused(Action.LANE_PAUSE),
            cluster=visit.site.cluster.replicas() if visit.site.cluster.is_set else None,
        )

    @app.post("/workers/drain")
    def drain(visit: FleetVisited, form: Acting) -> Response:
        visit.must(Action.WORKER_DRAIN)
        asked = {"requester": visit.identity.name, "reason": form.said("reason", "why")}
        with visit.intake() as intake:
            told = intake.drain(form.said("worker", "which worker"), asked)
        return visit.back_to(
            "/workers", f"{told.worker} takes nothing more, and ends with what it has."
        )
