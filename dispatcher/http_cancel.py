"""Cancelling over HTTP: a run or one task, cooperatively or by force."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request
from pydantic import Field

from contracts.fact import StrictFact
from contracts.request import Requester
from dispatcher.access import Asker, must_see
from dispatcher.intake import Intake
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.secrets_given import refuse_secrets
from fleet.ledger.cancel import Cancelled


class CancellationAsked(StrictFact):
    """Who cancels, and why."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)
    force: bool = False
    """End what runs now, and refuse what its workers make of it."""


_EXAMPLE = {"requester": "ana", "reason": "the wrong month", "force": False}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: PROBLEM | {"description": "Not JSON."},
    404: PROBLEM | {"description": "Nothing of this id, or several."},
    422: PROBLEM | {"description": "Not a cancellation."},
    503: PROBLEM | {"description": "Not possible now."},
}
_BODY = {"requestBody": {"content": {"application/json": {"example": _EXAMPLE}}}}


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.site.intake
    return intake


Served = Annotated[Intake, Depends(_intake)]
RunId = Annotated[str, Path(description="A run's id, or a prefix that is one run's alone.")]
TaskId = Annotated[str, Path(description="A task's id, or a prefix that is one task's alone.")]


def serve_cancellations(app: FastAPI) -> None:
    """Add the operations to `app`."""

    @app.post(
        "/v1/runs/{run}/cancel",
        tags=["runs"],
        operation_id="cancel_run",
        summary="Cancel a run; one that has ended stays as it is",
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def cancel_run(
        intake: Served, asker: Asker, run: RunId, body: CancellationAsked
    ) -> Cancelled:
        refuse_secrets(body.model_dump(mode="json"))
        found = intake.reader.find_run(run)
        must_see(asker, intake.reader.run(found).tenant, run)
        return await intake.ledger.cancel_run(
            found,
            body.requester,
            body.reason,
            intake.clock.now(),
            force=body.force,
        )

    @app.post(
        "/v1/tasks/{task}/cancel",
        tags=["tasks"],
        operation_id="cancel_task",
        summary="Cancel one task; its run starts nothing more and ends as cancelled",
        responses=_RESPONSES,
        openapi_extra=_BODY,
    )
    async def cancel_task(
        intake: Served, asker: Asker, task: TaskId, body: CancellationAsked
    ) -> Cancelled:
        refuse_secrets(body.model_dump(mode="json"))
        found = intake.reader.find_task(task)
        run = intake.reader.task(found).run
        must_see(asker, intake.reader.run(run).tenant, run)
        return await intake.ledger.cancel_task(
            found,
            body.requester,
            body.reason,
            intake.clock.now(),
            force=body.force,
        )
