"""Audit: what people did, who, why and when."""

from fastapi import FastAPI, Request, Response

from console.web.render import page
from console.web.visit import FleetVisited

PAGE = 50


def serve(app: FastAPI) -> None:
    """Add the page to `app`."""

    @app.get("/audit")
    def audit(visit: FleetVisited, request: Request) -> Response:
        cursor = request.query_params.get("after") or None
        submissions = request.query_params.get("submissions") != "no"
        found = visit.site.reader.acts(cursor, PAGE, submissions=submissions)
        return page(visit, "audit.html", found=found, submissions=submissions)
