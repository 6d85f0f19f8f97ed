"""Dead letters over HTTP: their groups, redrives of them, another payload for one."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query, Request, Response

from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.redrives import (
    CancelAsked,
    RedriveAnswer,
    RedriveAsked,
    Redrives,
    RetryAnswer,
    RetryAsked,
)
from dispatcher.resend import ResendAnswer, ResendAsked, Resender
from fleet.ledger.rows import DeadGroup, RedriveItem, RedriveJob

_ASKED = {
    "group": "3fa9c1d2e4b5",
    "requester": "ana",
    "reason": "the claims database is back",
    "per_second": 50,
    "dry_run": True,
}
_RETRY = {
    "requester": "ana",
    "reason": "the export names this client otherwise",
    "set": {"parameters.client": "C-002"},
}


_RESEND = {
    "requester": "ana",
    "reason": "the sender left the tenant out",
    "set": {"scope.tenant": "acme"},
}


def _resender(request: Request) -> Resender:
    resender: Resender = request.app.state.site.resender
    return resender


def _redrives(request: Request) -> Redrives:
    redrives: Redrives = request.app.state.site.redrives
    return redrives


Served = Annotated[Redrives, Depends(_redrives)]
Resends = Annotated[Resender, Depends(_resender)]
JobId = Annotated[str, Path(description="A redrive's id, or a prefix that is one redrive's alone.")]
TaskId = Annotated[str, Path(description="A task's id, or a prefix that is one task's alone.")]
_UNKNOWN: dict[str, Any] = PROBLEM | {"description": "No such redrive or task, or several."}


def serve_redrives(app: FastAPI) -> None:
    """Add the operations to `app`."""
    _groups(app)
    _jobs(app)
    _retry(app)
    _resend(app)


def _groups(app: FastAPI) -> None:
    @app.get(
        "/v1/dead-letters/groups",
        tags=["dead letters"],
        operation_id="list_dead_letter_groups",
        summary="Dead letters by cause, the largest groups first",
    )
    def groups(
        redrives: Served, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[DeadGroup]:
        return redrives.groups(limit)


def _jobs(app: FastAPI) -> None:
    @app.post(
        "/v1/redrives",
        status_code=202,
        tags=["dead letters"],
        operation_id="start_redrive",
        summary="Redrive tasks, a group, or everything; or say what that would be",
        responses={
            200: {"model": RedriveAnswer, "description": "A dry run; nothing was redriven."},
            202: {"description": "A job, worked off by the dispatcher; it survives its restart."},
            400: PROBLEM | {"description": "Not JSON."},
            404: _UNKNOWN,
            422: PROBLEM | {"description": "Not one of tasks, group and everything."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _ASKED}}}},
    )
    async def start(redrives: Served, body: RedriveAsked, response: Response) -> RedriveAnswer:
        answer = await redrives.ask(body)
        if answer.job is None:
            response.status_code = 200
        else:
            response.headers["Location"] = f"/v1/redrives/{answer.job.job}"
        return answer

    @app.get(
        "/v1/redrives",
        tags=["dead letters"],
        operation_id="list_redrives",
        summary="Redrives, newest first",
    )
    def jobs(
        redrives: Served, limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> list[RedriveJob]:
        return redrives.jobs(limit)

    @app.get(
        "/v1/redrives/{job}",
        tags=["dead letters"],
        operation_id="get_redrive",
        summary="How far a redrive has come",
        responses={404: _UNKNOWN},
    )
    def job(redrives: Served, job: JobId) -> RedriveJob:
        return redrives.job(job)

    @app.get(
        "/v1/redrives/{job}/items",
        tags=["dead letters"],
        operation_id="list_redrive_items",
        summary="What a redrive chose, and what became of each",
        responses={404: _UNKNOWN},
    )
    def items(
        redrives: Served,
        job: JobId,
        start: Annotated[int, Query(ge=0, lt=2**31, description="The first position wanted.")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[RedriveItem]:
        return redrives.items(job, start, limit)

    @app.post(
        "/v1/redrives/{job}/cancel",
        tags=["dead letters"],
        operation_id="cancel_redrive",
        summary="Let a redrive go no further",
        responses={
            404: _UNKNOWN,
            409: PROBLEM | {"description": "It is done already."},
            503: PROBLEM | {"description": "Not possible now."},
        },
    )
    async def cancel(redrives: Served, job: JobId, body: CancelAsked) -> RedriveJob:
        return await redrives.cancel(job, body)


def _retry(app: FastAPI) -> None:
    @app.post(
        "/v1/tasks/{task}/retry",
        status_code=202,
        tags=["dead letters"],
        operation_id="retry_task",
        summary="Try a failed task again, with its payload edited",
        responses={
            200: {"model": RetryAnswer, "description": "A dry run; nothing was promised."},
            202: {"description": "The attempt that was promised."},
            404: _UNKNOWN,
            409: PROBLEM | {"description": "No dead letter now, or tried again meanwhile."},
            422: PROBLEM | {"description": "The payload cannot be edited so; each path's fault."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _RETRY}}}},
    )
    async def retry(
        redrives: Served, task: TaskId, body: RetryAsked, response: Response
    ) -> RetryAnswer:
        answer = await redrives.retry(task, body)
        if answer.dry_run:
            response.status_code = 200
        return answer


def _resend(app: FastAPI) -> None:
    @app.post(
        "/v1/dead-letters/messages/{queue}/{sequence_number}/resend",
        status_code=202,
        tags=["dead letters"],
        operation_id="resend_message",
        summary="Send a message that could not be taken to its queue again, edited",
        responses={
            200: {"model": ResendAnswer, "description": "A dry run; nothing was sent."},
            202: {"description": "It was sent, and is on the dead-letter queue no more."},
            404: PROBLEM | {"description": "No such message stands as a dead letter."},
            409: PROBLEM | {"description": "It is not on the bus any more, or is locked now."},
            422: PROBLEM | {"description": "Edited so, it would not be taken either."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _RESEND}}}},
    )
    async def resend(
        resender: Resends,
        queue: Annotated[str, Path(description="The queue that it was on.")],
        sequence_number: Annotated[int, Path(ge=0, lt=2**63, description="Its number there.")],
        body: ResendAsked,
        response: Response,
    ) -> ResendAnswer:
        answer = await resender.resend(queue, sequence_number, body)
        if answer.dry_run:
            response.status_code = 200
        return answer
