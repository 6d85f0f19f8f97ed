"""The console as an application: its screens, its login, its answers to what goes wrong."""

import asyncio
import logging
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from console.errors import Refused, Unreachable
from console.web.faults import NotThere, PageFault
from console.web.live import serve_live
from console.web.login import serve_login
from console.web.render import HERE, page, plain_page
from console.web.screens import SERVED
from console.web.shield import Shield
from console.web.site import WebSite
from console.web.visit import login_address, site_of, visit
from fleet.access.errors import AccessRefused
from fleet.errors import FleetError
from fleet.ledger.errors import LedgerMissing, UnknownRow

_log = logging.getLogger("console")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def create_app(site: WebSite) -> FastAPI:
    """The application, ready to serve. `app.state.stopping` ends the streams that are open."""
    app = FastAPI(title="Leaf Fleet console", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.state.stopping = asyncio.Event()
    app.add_middleware(Shield)
    serve_login(app)
    serve_live(app)
    for serve in SERVED:
        serve(app)
    _static(app)
    _faults(app)
    return app


def _static(app: FastAPI) -> None:
    names = {path.name for path in (HERE / "static").iterdir()}

    @app.get("/static/{name}")
    def static(name: str) -> FileResponse:
        if name not in names:
            raise NotThere("there is no such file")
        path = HERE / "static" / name
        return FileResponse(
            path,
            media_type=_TYPES[path.suffix],
            headers={"cache-control": "public, max-age=31536000, immutable"},
        )

    @app.get("/healthz")
    async def healthy() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/readyz")
    def ready(request: Request) -> dict[str, str]:
        site_of(request).reader.runs(limit=1)
        return {"status": "ready"}


def _faults(app: FastAPI) -> None:
    async def answered(request: Request, cause: Exception) -> Response:
        if isinstance(cause, AccessRefused):
            return _to_login(request, cause)
        status, title, said = _told(cause)
        if status >= 500:
            _log.warning("%s %s: %s", request.method, request.url.path, said)
        try:
            seen = visit(request)
        except AccessRefused:
            return plain_page("fault.html", status=status, title=title, message=said)
        return page(seen, "fault.html", status=status, title=title, message=said)

    for kind in (AccessRefused, FleetError, SQLAlchemyError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answered)


def _told(cause: Exception) -> tuple[int, str, str]:
    """Status, title, and what is said. The words of a driver or a parser are left out."""
    status, title, said = 503, "Not possible now", "the ledger does not answer; try again soon"
    match cause:
        case PageFault():
            status, title, said = cause.status, cause.title, str(cause)
        case UnknownRow():
            status, title, said = 404, NotThere.title, str(cause)
        case Refused():
            status, title = 409, "The dispatcher refused it"
            said = str(cause).removeprefix("refused: ")
        case Unreachable() | LedgerMissing():
            said = str(cause)
        case RequestValidationError():
            names = sorted({str(fault["loc"][-1]) for fault in cause.errors()})
            status, title = 400, PageFault.title
            said = f"the address says something that cannot be used: {', '.join(names)}"
        case HTTPException():
            status, said = cause.status_code, str(cause.detail)
            title = NotThere.title if status == 404 else PageFault.title
        case FleetError():
            status, title, said = 409, PageFault.title, str(cause)
    return status, title, said


def _to_login(request: Request, cause: AccessRefused) -> Response:
    """Nobody logs in here where tokens are asked for: they are told why theirs does not do."""
    if site_of(request).local is None:
        return plain_page("fault.html", status=401, title="Who are you?", message=str(cause))
    if request.url.path == "/live" or "x-live" in request.headers:
        return Response("log in again", status_code=401, media_type="text/plain")
    if request.method != "GET":
        return RedirectResponse(f"/login?next={quote('/', safe='')}", status_code=303)
    return RedirectResponse(login_address(request), status_code=303)
