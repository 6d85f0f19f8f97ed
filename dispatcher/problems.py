"""Errors over HTTP: problem+json (RFC 9457), one shape for everything that can go wrong.

`faults` says what exactly, with the line of pipeline.yaml where there is one. Values that came in
are not repeated.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from dispatcher.faults import (
    KeyConflict,
    LaneUnknown,
    MessageGone,
    PipelineRefused,
    PipelineUnknown,
    RequestRefused,
)
from dispatcher.payload_edit import EditRefused
from dispatcher.secrets_given import SecretGiven
from fleet.artifacts.errors import ArtifactFault
from fleet.bus.errors import BusUnavailable
from fleet.ledger.errors import (
    IllegalMove,
    JobEnded,
    LedgerError,
    MovedOn,
    UnknownRow,
    WorkerGone,
)
from fleet.telemetry.redact import redacted

MEDIA_TYPE = "application/problem+json"
_MOST_FAULTS = 50
"""Told of one request: whoever sends more wrong fields than that is not helped by the rest."""


class ProblemFault(BaseModel):
    """One thing that is wrong."""

    message: str
    line: int | None = Field(default=None, description="In pipeline.yaml, from 1.")
    field: str | None = Field(default=None, description="In the request.")


class Problem(BaseModel):
    """RFC 9457, with the faults and the run where there are any."""

    type: str = Field(description="A URN; stable, for programs.", examples=["urn:leaf-fleet:x"])
    title: str = Field(description="What kind of problem, for people.")
    status: int
    detail: str = Field(description="What happened this time.")
    faults: list[ProblemFault] = []
    run: str | None = Field(default=None, description="The run that the key has started.")


RESPONSE: dict[str, Any] = {"model": Problem, "content": {MEDIA_TYPE: {}}}
"""How an operation declares that a status is answered with a problem."""


def describe_problems(document: dict[str, Any]) -> None:
    """Make an OpenAPI document say what is answered: problems, also where FastAPI documents a
    validation error of its own, and each under its own media type alone."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {})
                if MEDIA_TYPE in content or "HTTPValidationError" in str(content):
                    answer["content"] = {MEDIA_TYPE: schema}
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def problem(status: int, slug: str, title: str, detail: str, **more: Any) -> JSONResponse:
    """The response of one problem. `more`: faults, run, headers."""
    headers = more.pop("headers", None)
    body = Problem(
        type=f"urn:leaf-fleet:{slug}", title=title, status=status, detail=redacted(detail), **more
    )
    content = body.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)


def answer_problems(app: FastAPI) -> None:
    """Make `app` answer every error that it knows as a problem."""
    app.add_exception_handler(PipelineUnknown, _unknown)
    app.add_exception_handler(PipelineRefused, _refused)
    app.add_exception_handler(RequestRefused, _refused)
    app.add_exception_handler(KeyConflict, _conflict)
    app.add_exception_handler(SecretGiven, _secret)
    app.add_exception_handler(LaneUnknown, _no_lane)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(EditRefused, _not_edited)
    app.add_exception_handler(UnknownRow, _no_row)
    for moved in (IllegalMove, MovedOn, JobEnded, MessageGone, WorkerGone):
        app.add_exception_handler(moved, _moved_on)
    app.add_exception_handler(LedgerError, _away)
    app.add_exception_handler(SQLAlchemyError, _away)
    app.add_exception_handler(ArtifactFault, _away)
    app.add_exception_handler(OSError, _away)
    app.add_exception_handler(BusUnavailable, _away)
    app.add_exception_handler(HTTPException, _http)


def field_name(loc: Sequence[str | int]) -> str:
    """The field of a validation error: a peer's own words, cut short and fit to be written."""
    name = redacted(".".join(str(step) for step in loc))
    return name[:80].encode("utf-8", "replace").decode()


async def _unknown(_: Request, cause: Exception) -> JSONResponse:
    return problem(404, "pipeline-unknown", "No such pipeline", str(cause))


async def _no_lane(_: Request, cause: Exception) -> JSONResponse:
    return problem(404, "lane-unknown", "No such lane", str(cause))


async def _refused(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, PipelineRefused | RequestRefused)
    faults = [ProblemFault(message=fault.message, line=fault.line) for fault in cause.faults]
    if isinstance(cause, PipelineRefused):
        title, slug = "The pipeline cannot be used", "pipeline-refused"
    else:
        title, slug = "The request does not fit the pipeline", "request-refused"
    return problem(422, slug, title, str(cause), faults=faults)


async def _conflict(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, KeyConflict)
    title = "The key belongs to another request"
    return problem(409, "key-conflict", title, str(cause), run=cause.run)


async def _secret(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, SecretGiven)
    faults = [ProblemFault(message=words, field=place) for place, words in cause.faults]
    return problem(422, "secret-given", "It holds a secret", str(cause), faults=faults)


async def _invalid(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, RequestValidationError)
    errors = cause.errors()
    if any(fault["type"] == "json_invalid" for fault in errors):
        return problem(400, "not-json", "The body is not JSON", "the body is not JSON")
    faults = [
        ProblemFault(message=fault["msg"], field=field_name(fault["loc"]))
        for fault in errors[:_MOST_FAULTS]
    ]
    detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
    return problem(422, "request-invalid", "Not a request", detail, faults=faults)


async def _not_edited(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, EditRefused)
    faults = [ProblemFault(message=words, field=path[:80]) for path, words in cause.faults]
    title = "The payload cannot be edited so"
    return problem(422, "edit-refused", title, str(cause), faults=faults[:_MOST_FAULTS])


async def _moved_on(_: Request, cause: Exception) -> JSONResponse:
    return problem(409, "moved-on", "It stands otherwise by now", str(cause))


async def _no_row(_: Request, cause: Exception) -> JSONResponse:
    return problem(404, "unknown", "Not found", str(cause))


async def _away(_: Request, cause: Exception) -> JSONResponse:
    # The words of a driver can hold an address: they stay here.
    detail = str(cause) if isinstance(cause, LedgerError) else type(cause).__name__
    headers = {"Retry-After": "2"}
    return problem(503, "unavailable", "Not possible now, try again", detail, headers=headers)


async def _http(_: Request, cause: Exception) -> JSONResponse:
    assert isinstance(cause, HTTPException)
    headers = dict(cause.headers or {})
    detail = cause.detail
    return problem(cause.status_code, f"http-{cause.status_code}", detail, detail, headers=headers)
