"""Logging in on the loopback, and out again."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from console.submission import requested_by
from console.web.faults import NotThere
from console.web.render import plain_page
from console.web.visit import Visited, acting, credentials_of, own_path, read_form, site_of
from contracts.access import Identity, Role
from fleet.access.errors import AccessRefused
from fleet.access.local import COOKIE, LASTS


def serve_login(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/login")
    def login(request: Request) -> HTMLResponse:
        return _page(request, status=200, trouble=None)

    @app.post("/login")
    async def log_in(request: Request) -> Response:
        site = site_of(request)
        if site.local is None:
            raise NotThere("nobody logs in here: whoever lets you in says who you are")
        form = await read_form(request)
        try:
            identity = _identity(form["name"], form.get("role", ""), form.get("tenants", ""))
            session = site.local.opened(
                form.get("key", ""), identity, credentials_of(request), site.clock.now()
            )
        except (ValidationError, ValueError, KeyError):
            return _page(request, status=400, trouble="Say who you are and in which role you look.")
        except AccessRefused as refused:
            return _page(request, status=403, trouble=str(refused))
        response = RedirectResponse(own_path(form.get("next", "/")), status_code=303)
        response.set_cookie(
            COOKIE,
            session,
            max_age=int(LASTS.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=site.secure,
        )
        return response

    @app.post("/logout")
    async def log_out(visit: Visited) -> Response:
        await acting(visit)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=visit.site.secure)
        return response


def _page(request: Request, *, status: int, trouble: str | None) -> HTMLResponse:
    return plain_page(
        "login.html",
        status=status,
        trouble=trouble,
        local=site_of(request).local is not None,
        name=requested_by(),
        roles=list(Role),
        next=own_path(request.query_params.get("next", "/")),
    )


def _identity(name: str, role: str, tenants: str) -> Identity:
    kept = tuple(tenants.replace(",", " ").split())
    return Identity(name=name.strip(), roles=(Role(role),), tenants=kept or None, source="local")
