"""Templates, and how times, sizes and other people's words look in them.

Every value that a template writes is escaped for HTML, freed of characters that steer a terminal or
turn the direction of text, and cut where it is very long: a payload cannot do more than be read.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from console.render import marks
from console.render.marks import size, span, summary
from console.web import drawing
from console.web.visit import SAID, Visit
from contracts.access import Action
from contracts.states import FINAL, State
from fleet.telemetry.redact import redacted_json

HERE = Path(__file__).parent
NONE = "\N{EN DASH}"
"""Where there is nothing to show."""
LONGEST = 4000
"""Characters of one value on a page."""

SCREENS = (
    ("/", "Overview", "Watch", Action.FLEET_SEE),
    ("/runs", "Runs", "Watch", Action.RUN_SEE),
    ("/lanes", "Lanes", "Watch", Action.FLEET_SEE),
    ("/workers", "Workers", "Watch", Action.FLEET_SEE),
    ("/dead-letters", "Dead letters", "Act", Action.FLEET_SEE),
    ("/approvals", "Approvals", "Act", Action.FLEET_SEE),
    ("/schedules", "Schedules", "Act", Action.FLEET_SEE),
    ("/artifacts", "Artifacts", "Explain", Action.ARTIFACT_SEE),
    ("/policies", "Policies", "Explain", Action.FLEET_SEE),
    ("/audit", "Audit", "Explain", Action.FLEET_SEE),
)
"""Address, name, group and what it takes to see it."""


def page(visit: Visit, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page for somebody who is logged in."""
    said = visit.said()
    text = (
        environment()
        .get_template(template)
        .render(
            visit=visit,
            now=visit.now,
            said=said,
            path=visit.request.url.path,
            query=visit.request.query_params,
            **values,
        )
    )
    response = HTMLResponse(text, status_code=status)
    # A refresh of a live page must not take away what the person has not seen yet.
    if said is not None and "x-live" not in visit.request.headers:
        response.delete_cookie(SAID, httponly=True, samesite="strict", secure=visit.site.secure)
    return response


def plain_page(template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody who is not."""
    text = environment().get_template(template).render(visit=None, said=None, path="", **values)
    return HTMLResponse(text, status_code=status)


@cache
def environment() -> Environment:
    """The templates. Built once."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=inert,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": clock,
        "day": day,
        "span": span,
        "size": size,
        "number": number,
        "percent": percent,
        "short": short,
        "pretty": pretty,
        "redacted": redacted_json,
        "loudest": summary,
        "lines": lines,
    }
    made.globals |= {
        "State": State,
        "Action": Action,
        "FINAL": FINAL,
        "SCREENS": SCREENS,
        "asset": asset,
        "spark": drawing.spark,
        "took": took,
        "ago": ago,
        "link": link,
    }
    return made


def inert(value: Any) -> Any:
    """What a template writes of a value: text that does nothing, of a bounded length."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if len(value) > LONGEST:
        value = f"{value[:LONGEST]}… ({len(value):,} characters)"
    return marks.inert(value)


def lines(text: str) -> Markup:
    """A long text, whole: line by line, each of a bounded length."""
    return Markup("\n").join(escape(inert(line)) for line in text.split("\n"))


def clock(at: datetime | None) -> Markup | str:
    """`2026-11-25 19:03:19Z`, told to programs as well."""
    if at is None:
        return NONE
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), at.strftime("%Y-%m-%d %H:%M:%SZ")
    )


def day(at: datetime | None) -> Markup | str:
    """The time of the day, to the millisecond; the day where one points at it."""
    if at is None:
        return NONE
    whole = at.isoformat(timespec="milliseconds")
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        whole, at.strftime("%H:%M:%S.%f")[:-3]
    )


def took(started: datetime | None, ended: datetime | None, now: datetime) -> str:
    """How long something took, or has taken so far."""
    return NONE if started is None else span((ended or now) - started)


def ago(at: datetime | None, now: datetime) -> str:
    """`12.0 s`: how old something is."""
    return NONE if at is None else span(max(now - at, timedelta()))


def number(value: float | None) -> str:
    """With its thousands apart."""
    if value is None:
        return NONE
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def percent(share: float | None) -> str:
    """`99.5 %`. Nothing but a whole success is called 100."""
    if share is None:
        return NONE
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"


def short(name: str, most: int = 13) -> str:
    """The beginning of an id."""
    return name if len(name) <= most else name[:most]


def pretty(value: object) -> str:
    """A JSON value over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def link(query: Mapping[str, str], **changed: str | None) -> str:
    """The query of this page with some of it changed; None takes a field away."""
    from urllib.parse import urlencode

    told = {**query, **changed}
    return "?" + urlencode({name: value for name, value in told.items() if value})


@cache
def asset(name: str) -> str:
    """The address of a file of ours: with its digest, so that it may be kept for ever."""
    digest = hashlib.sha256((HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
