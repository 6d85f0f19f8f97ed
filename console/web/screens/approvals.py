"""Approvals: what waits for people, and their word on it, bound to what was looked at."""

from fastapi import FastAPI, Response

from console.web.faults import Unusable
from console.web.render import page
from console.web.visit import Acting, FleetVisited, Visit
from contracts.access import Action
from contracts.approval import person
from fleet.ledger.votes import ApprovalRow

MOST = 200


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/approvals")
    def approvals(visit: FleetVisited) -> Response:
        rows = visit.site.reader.approvals(MOST)
        return page(
            visit,
            "approvals.html",
            rows=[(row, _why_not(visit, row)) for row in rows],
        )

    @app.post("/approvals/{held}")
    def vote(visit: FleetVisited, form: Acting, held: str) -> Response:
        visit.must(Action.APPROVAL_VOTE)
        way = form.get("way")
        if way not in ("approve", "refuse"):
            raise Unusable("approve it, or refuse it")
        asked = {
            "approver": visit.identity.name,
            "approve": way == "approve",
            "comment": form.said("reason", "why"),
            "digest": form.get("digest", ""),
        }
        with visit.intake() as intake:
            voted = intake.vote(held, asked)
        by = ", ".join(voted.approved_by) or "nobody"
        said = f"It is {voted.state}; approved by {by} ({voted.needed} are needed)."
        return visit.back_to("/approvals", said)


def _why_not(visit: Visit, row: ApprovalRow) -> str | None:
    """Why this person's word would not count; None where it would."""
    if (why := visit.refused(Action.APPROVAL_VOTE)) is not None:
        return why
    who = person(visit.identity.name)
    if who == person(row.requester):
        return "Who asked for it cannot approve or refuse it."
    if who in row.approved_by:
        return "You have approved it already; another person is needed."
    return None
