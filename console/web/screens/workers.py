"""Workers: what each does now, and which went away."""

from collections import defaultdict

from fastapi import FastAPI, Response

from console.web.render import page
from console.web.visit import FleetVisited
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
        )
