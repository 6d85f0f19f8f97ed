"""The flow over HTTP: pauses of lanes and pipelines, and the slots in use."""

from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Path, Query, Request

from dispatcher.flow import FlowControl, PauseAnswer, PauseAsked
from dispatcher.problems import RESPONSE as PROBLEM
from fleet.ledger.pauses import What
from fleet.ledger.rows import AuditRow, PauseRow, SlotRow

_WHY = {"requester": "ana", "reason": "the claims database is being moved"}


def _flow(request: Request) -> FlowControl:
    flow: FlowControl = request.app.state.site.flow
    return flow


Controls = Annotated[FlowControl, Depends(_flow)]
Name = Annotated[str, Path(description="The name.", max_length=60)]
_WHAT: dict[str, What] = {"lanes": "lane", "pipelines": "pipeline"}


def serve_flow(app: FastAPI) -> None:
    """Add the operations to `app`."""
    for kind, what in _WHAT.items():
        _pauses_of(app, kind, what)
    _looks(app)


def _pauses_of(app: FastAPI, kind: str, what: What) -> None:
    answers: dict[int | str, dict[str, Any]] = {
        404: PROBLEM | {"description": f"No such {what}."},
        422: PROBLEM | {"description": "No reason, or no requester."},
        503: PROBLEM | {"description": "Not possible now."},
    }
    example = {"requestBody": {"content": {"application/json": {"example": _WHY}}}}

    @app.post(
        f"/v1/{kind}/{{name}}/pause",
        tags=["flow"],
        operation_id=f"pause_{what}",
        summary=f"Start nothing more of a {what}; what runs goes on",
        responses=answers,
        openapi_extra=example,
    )
    async def pause(flow: Controls, name: Name, body: PauseAsked) -> PauseAnswer:
        return await flow.pause(what, name, body)

    @app.post(
        f"/v1/{kind}/{{name}}/resume",
        tags=["flow"],
        operation_id=f"resume_{what}",
        summary=f"Let a paused {what} go on",
        responses=answers,
        openapi_extra=example,
    )
    async def resume(flow: Controls, name: Name, body: PauseAsked) -> PauseAnswer:
        return await flow.resume(what, name, body)


def _looks(app: FastAPI) -> None:
    @app.get(
        "/v1/pauses",
        tags=["flow"],
        operation_id="list_pauses",
        summary="What is paused now, the latest first",
    )
    def pauses(flow: Controls) -> list[PauseRow]:
        return flow.pauses()

    @app.get(
        "/v1/pauses/history",
        tags=["flow"],
        operation_id="list_pause_history",
        summary="Who paused and resumed what, and why; the latest first",
    )
    def history(
        flow: Controls,
        kind: Literal["lanes", "pipelines"] = "lanes",
        name: Annotated[str | None, Query(max_length=60)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> list[AuditRow]:
        return flow.history(_WHAT[kind], name, limit)

    @app.get(
        "/v1/slots",
        tags=["flow"],
        operation_id="list_slots",
        summary="Limits in use: how many run and wait under each key",
    )
    def slots(flow: Controls, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[SlotRow]:
        return flow.slots(limit)
