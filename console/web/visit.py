"""One request: who it is from, what they may do, and how a page or an answer goes back to them."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from console.intake import Intake
from console.web.faults import Forbidden, NotThere, Unusable
from console.web.site import WebSite
from contracts.access import Action, Identity, refusal
from fleet.access.errors import AccessRefused
from fleet.access.source import Credentials
from fleet.access.tokens import login_headers
from fleet.ledger.rows import RunDetail, RunRow

LARGEST_FORM = 512 * 1024
SAID = "fleet_said"
_SAID_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody looks at something now."""

    site: WebSite
    request: Request
    identity: Identity
    csrf: str
    """What a form of this login has to bring along."""
    now: datetime

    def refused(self, action: Action, tenant: str | None = None) -> str | None:
        """Why they may not, for the button that says so; None where they may."""
        return refusal(self.identity, action, tenant)

    def must(self, action: Action, tenant: str | None = None) -> None:
        """Raises Forbidden with the reason."""
        if (why := self.refused(action, tenant)) is not None:
            raise Forbidden(why)

    def intake(self) -> Intake:
        """The dispatcher, asked in this person's name; for a `with` block."""
        return self.site.intake(login_headers(self.request.headers))

    def may_see(self, run: RunRow | RunDetail) -> None:
        """Raises NotThere for a run of a tenant that is not theirs: not even that it exists."""
        if not self.identity.reaches(run.tenant):
            raise NotThere(f"there is no run {run.run}")

    def back_to(self, path: str, said: str) -> RedirectResponse:
        """Answer a form: show the page at `path`, with what was done said once."""
        response = RedirectResponse(path, status_code=303)
        until = self.now + _SAID_FOR
        response.set_cookie(
            SAID,
            self.site.sealer.seal("said", said[:600], until),
            max_age=int(_SAID_FOR.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=self.site.secure,
        )
        return response

    def said(self) -> str | None:
        """What the last action came to, where this is the page after it."""
        cookie = self.request.cookies.get(SAID)
        if cookie is None:
            return None
        try:
            return str(self.site.sealer.opened("said", cookie, self.now))
        except AccessRefused:
            return None


def site_of(request: Request) -> WebSite:
    """The site of the application."""
    site: WebSite = request.app.state.site
    return site


def credentials_of(request: Request) -> Credentials:
    """What a request brought along."""
    return Credentials(
        headers=request.headers,
        cookies=request.cookies,
        peer=request.client.host if request.client else "",
    )


def visit(request: Request) -> Visit:
    """Who is here. Raises AccessRefused."""
    site = site_of(request)
    now = site.clock.now()
    found = site.identities.identified(credentials_of(request), now)
    mark = site.sealer.mark("csrf", found.binding)
    return Visit(site, request, found.identity, mark, now)


Visited = Annotated[Visit, Depends(visit)]


def of_the_fleet(visit: Visited) -> Visit:
    """Somebody who may look at the fleet as a whole. Raises Forbidden."""
    visit.must(Action.FLEET_SEE)
    return visit


FleetVisited = Annotated[Visit, Depends(of_the_fleet)]


class Form(dict[str, str]):
    """A form's fields; of a field that came more than once, `many` has each."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def many(self, name: str) -> list[str]:
        """Every value of a field, in order."""
        return [value for key, value in self._pairs if key == name]

    def said(self, name: str, what: str, most: int = 1000) -> str:
        """A field that must be filled in. Raises Unusable."""
        value = self.get(name, "").strip()
        if not value:
            raise Unusable(f"say {what}: it is kept with what you do")
        if len(value) > most:
            raise Unusable(f"{what} may have {most} characters at most")
        return value


async def read_form(request: Request) -> Form:
    """The fields of a form from this very site. Raises Unusable, Forbidden."""
    check_origin(request.headers)
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        raise Unusable("a form is expected here")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            raise Unusable("this is too large for a form")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=2000)
    except ValueError:
        raise Unusable("this form cannot be read") from None
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])


async def acting(visit: Visited) -> Form:
    """A form that this login's own page sent. Raises Unusable, Forbidden."""
    form = await read_form(visit.request)
    if not hmac.compare_digest(
        form.get("csrf", "").encode("utf-8", "replace"), visit.csrf.encode()
    ):
        raise Forbidden("This form is not from a page of this login. Load the page again.")
    return form


Acting = Annotated[Form, Depends(acting)]


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises Forbidden for a form that a page of another site sent."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise Forbidden("This form was sent by a page of another site.")
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This form was sent by a page of another site.")


def login_address(request: Request) -> str:
    """The login, which leads back to the page that was asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return "/login" if asked == "/" else f"/login?next={quote(asked, safe='')}"


def own_path(path: str) -> str:
    """`path` where it is one of this site's own pages; else the first page."""
    parts = urlsplit(path)
    own = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc
    return path if own and path.isprintable() else "/"
