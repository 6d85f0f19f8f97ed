"""Dead letters: by cause; a dry run, a redrive with its progress, a message sent again edited."""

import json
from typing import Any

from fastapi import FastAPI, Request, Response

from console.redriving import new_job
from console.web.faults import NotThere, Unusable
from console.web.render import page
from console.web.visit import Acting, FleetVisited, Form, Visit
from contracts.access import Action
from contracts.fact import JsonObject

GROUPS = 100
ITEMS = 200
MESSAGE = "message"


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""
    _groups(app)
    _redrives(app)
    _messages(app)


def _groups(app: FastAPI) -> None:
    @app.get("/dead-letters")
    def dead_letters(visit: FleetVisited) -> Response:
        reader = visit.site.reader
        return page(
            visit,
            "dead_letters.html",
            groups=reader.dead_groups(visit.now, GROUPS),
            jobs=reader.redrives(10),
            redrive_refused=visit.refused(Action.DEAD_LETTER_REDRIVE),
        )

    @app.get("/dead-letters/groups/{group}")
    def one_group(visit: FleetVisited, request: Request, group: str) -> Response:
        return _group_page(visit, group, request.query_params.get("after") or None)

    @app.post("/dead-letters/redrive")
    def redrive(visit: FleetVisited, form: Acting) -> Response:
        visit.must(Action.DEAD_LETTER_REDRIVE)
        group = form.get("group", "")
        chosen: dict[str, Any] = {"group": group} if group else {"everything": True}
        if form.get("way") == "dry_run":
            asked = {**chosen, "requester": visit.identity.name, "reason": "dry run"}
            with visit.intake() as intake:
                preview = intake.preview(asked)
            if group:
                return _group_page(visit, group, None, preview=preview)
            return page(visit, "redrive_all.html", preview=preview, reason=form.get("reason", ""))
        # The id comes with the form: pressed twice, or sent again, it is one redrive.
        asked = {
            **chosen,
            "job": form.get("job") or new_job(),
            "requester": visit.identity.name,
            "reason": form.said("reason", "why"),
            "per_second": _rate(form.get("per_second", "")),
        }
        with visit.intake() as intake:
            job = intake.redrive(asked)
        return visit.back_to(f"/redrives/{job.job}", f"{job.total:,} tasks are being redriven.")


def _redrives(app: FastAPI) -> None:
    @app.get("/redrives/{job}")
    def one_redrive(visit: FleetVisited, request: Request, job: str) -> Response:
        reader = visit.site.reader
        found = reader.redrive(reader.find_redrive(job))
        start = _whole(request.query_params.get("start", ""), 0)
        items = reader.redrive_items(found.job, start, ITEMS)
        return page(
            visit,
            "redrive.html",
            job=found,
            items=items,
            next=start + ITEMS if start + ITEMS < found.total else None,
            cancel_refused=_why_not_stopped(visit, found.state),
        )

    @app.post("/redrives/{job}/cancel")
    def cancel(visit: FleetVisited, form: Acting, job: str) -> Response:
        visit.must(Action.DEAD_LETTER_REDRIVE)
        reason = form.said("reason", "why")
        with visit.intake() as intake:
            intake.cancel_redrive(job, visit.identity.name, reason)
        return visit.back_to(f"/redrives/{job}", "It goes no further.")


def _messages(app: FastAPI) -> None:
    @app.get("/dead-letters/messages/{queue}/{number}")
    def message(visit: FleetVisited, queue: str, number: int) -> Response:
        return _message_page(visit, queue, number)

    @app.post("/dead-letters/messages/{queue}/{number}")
    def resend(visit: FleetVisited, form: Acting, queue: str, number: int) -> Response:
        visit.must(Action.DEAD_LETTER_EDIT)
        trying = form.get("way") == "dry_run"
        asked: dict[str, Any] = {
            "requester": visit.identity.name,
            "reason": "dry run" if trying else form.said("reason", "why"),
            "dry_run": trying,
            **_edit(form),
        }
        with visit.intake() as intake:
            answer = intake.resend(queue, number, asked)
        if trying:
            return _message_page(visit, queue, number, form=form, edit=answer.edit)
        return visit.back_to("/dead-letters", f"Sent to {answer.queue} as {answer.became}.")


def _group_page(visit: Visit, group: str, cursor: str | None, preview: Any = None) -> Response:
    site = visit.site
    found = next(iter(site.reader.dead_groups(visit.now, 1, group)), None)
    if found is None:
        raise NotThere("nothing stands as a dead letter for this cause any more")
    messages = site.browser.dead_messages(group) if found.what == MESSAGE else []
    return page(
        visit,
        "dead_group.html",
        group=found,
        tasks=None if found.what == MESSAGE else site.browser.dead_tasks(group, cursor),
        messages=messages,
        preview=preview,
        job=new_job(),
        redrive_refused=visit.refused(Action.DEAD_LETTER_REDRIVE),
    )


def _message_page(
    visit: Visit,
    queue: str,
    number: int,
    form: Form | None = None,
    edit: tuple[JsonObject, ...] | None = None,
) -> Response:
    return page(
        visit,
        "dead_message.html",
        message=visit.site.browser.message(queue, number),
        form=form or {},
        edit=edit,
        edit_refused=visit.refused(Action.DEAD_LETTER_EDIT),
    )


def _edit(form: Form) -> dict[str, Any]:
    """What the form changes: a whole body, fields by path, application properties."""
    edit: dict[str, Any] = {
        "set": _lines(form.get("set", "")),
        "unset": form.get("unset", "").split(),
        "properties": _lines(form.get("properties", "")),
    }
    if body := form.get("body", "").strip():
        edit["body"] = _json(body)
    return edit


def _lines(text: str) -> JsonObject:
    """`path = value` a line; a value is JSON where it reads as such, else text."""
    told: JsonObject = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        path, sign, value = line.partition("=")
        if not sign or not path.strip():
            raise Unusable(f"write PATH = VALUE in each line, not {line[:80]!r}")
        try:
            told[path.strip()] = json.loads(value)
        except ValueError:
            told[path.strip()] = value.strip()
    return told


def _json(text: str) -> JsonObject:
    try:
        told = json.loads(text)
    except ValueError as cause:
        raise Unusable(f"the body is no JSON: {cause}") from None
    if not isinstance(told, dict):
        raise Unusable("the body must be one JSON object")
    return told


def _rate(text: str) -> int | None:
    return _whole(text, 1) if text.strip() else None


def _whole(text: str, least: int) -> int:
    if not text.strip():
        return least
    if not (text.isascii() and text.strip().isdigit()) or len(text) > 9 or int(text) < least:
        raise Unusable(f"{text[:20]!r} is no number from {least} on")
    return int(text)


def _why_not_stopped(visit: Visit, state: str) -> str | None:
    return (
        visit.refused(Action.DEAD_LETTER_REDRIVE)
        if state == "running"
        else f"It is {state} already."
    )
