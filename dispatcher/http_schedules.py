"""Schedules over HTTP."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request

from contracts.request import RunAccepted
from contracts.schedule import ScheduleName
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.schedules import (
    ScheduleAsked,
    ScheduleDetail,
    Schedules,
    SwitchAnswer,
    SwitchAsked,
)
from fleet.ledger.schedules import FireRow, ScheduleRow

_EXAMPLE = {
    "name": "nightly",
    "cron": "30 2 * * *",
    "zone": "Europe/Berlin",
    "pipeline": "guarantee_report",
    "parameters": {"client": "C-001", "as_of": "{yesterday}"},
    "scope": {"tenant": "acme", "audience": "tenant"},
    "requester": "ana",
    "catch_up": "once",
}


def _schedules(request: Request) -> Schedules:
    schedules: Schedules = request.app.state.site.schedules
    return schedules


Served = Annotated[Schedules, Depends(_schedules)]
Name = Annotated[ScheduleName, Path(description="The schedule's name.")]
_UNKNOWN: dict[str, Any] = PROBLEM | {"description": "No such schedule."}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    404: _UNKNOWN,
    503: PROBLEM | {"description": "Not possible now."},
}


def serve_schedules(app: FastAPI) -> None:
    """Add the operations to `app`."""
    _rows(app)
    _switches(app)


def _rows(app: FastAPI) -> None:
    @app.get(
        "/v1/schedules",
        tags=["schedules"],
        operation_id="list_schedules",
        summary="All schedules, by name",
    )
    def every(schedules: Served) -> list[ScheduleRow]:
        return schedules.every()

    @app.put(
        "/v1/schedules/{name}",
        tags=["schedules"],
        operation_id="put_schedule",
        summary="Add a schedule, or change one; the same again changes nothing",
        responses={
            404: PROBLEM | {"description": "No such pipeline."},
            422: PROBLEM | {"description": "Not a schedule, or none that its pipeline could run."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def put(schedules: Served, name: Name, body: ScheduleAsked) -> ScheduleRow:
        if body.name != name:
            raise HTTPException(400, "the name in the path and the body's name differ")
        return await schedules.put(body.schedule, body.reason)

    @app.get(
        "/v1/schedules/{name}",
        tags=["schedules"],
        operation_id="get_schedule",
        summary="A schedule, its next times, and who changed it",
        responses={404: _UNKNOWN},
    )
    def get(schedules: Served, name: Name) -> ScheduleDetail:
        return schedules.detail(name)

    @app.get(
        "/v1/schedules/{name}/history",
        tags=["schedules"],
        operation_id="get_schedule_history",
        summary="What became of a schedule's times, the latest first",
        responses={404: _UNKNOWN},
    )
    def history(
        schedules: Served, name: Name, limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> list[FireRow]:
        return schedules.history(name, limit)


def _switches(app: FastAPI) -> None:
    @app.post(
        "/v1/schedules/{name}/remove",
        tags=["schedules"],
        operation_id="remove_schedule",
        summary="Remove a schedule; its history stays",
        responses=_ANSWERS,
    )
    async def remove(schedules: Served, name: Name, body: SwitchAsked) -> SwitchAnswer:
        return await schedules.remove(name, body)

    @app.post(
        "/v1/schedules/{name}/pause",
        tags=["schedules"],
        operation_id="pause_schedule",
        summary="Fire no more until it is resumed",
        responses=_ANSWERS,
    )
    async def pause(schedules: Served, name: Name, body: SwitchAsked) -> SwitchAnswer:
        return await schedules.pause(name, body)

    @app.post(
        "/v1/schedules/{name}/resume",
        tags=["schedules"],
        operation_id="resume_schedule",
        summary="Fire again, from the next time on",
        responses=_ANSWERS,
    )
    async def resume(schedules: Served, name: Name, body: SwitchAsked) -> SwitchAnswer:
        return await schedules.resume(name, body)

    @app.post(
        "/v1/schedules/{name}/trigger",
        status_code=202,
        tags=["schedules"],
        operation_id="trigger_schedule",
        summary="A run now, beside the scheduled ones",
        responses=_ANSWERS
        | {422: PROBLEM | {"description": "The pipeline cannot be run so (any more)."}},
    )
    async def trigger(schedules: Served, name: Name, body: SwitchAsked) -> RunAccepted:
        return await schedules.trigger(name, body)
