"""Workers over HTTP: have one stop."""

from typing import Annotated

from fastapi import Depends, FastAPI, Path, Request
from pydantic import Field

from contracts.fact import StrictFact
from contracts.request import Requester
from dispatcher.intake import Intake
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.secrets_given import refuse_secrets
from fleet.ledger.drains import Drained


class DrainAsked(StrictFact):
    """Who has a worker stop, and why."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)


_EXAMPLE = {"requester": "ana", "reason": "its machine is patched"}


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.site.intake
    return intake


def serve_workers(app: FastAPI) -> None:
    """Add the operation to `app`."""

    @app.post(
        "/v1/workers/{worker}/drain",
        status_code=202,
        tags=["fleet"],
        operation_id="drain_worker",
        summary="Have a worker take nothing more, finish or hand back what it has, and end",
        responses={
            202: {"description": "It is told with its next heartbeat, within seconds."},
            400: PROBLEM | {"description": "Not JSON."},
            404: PROBLEM | {"description": "No such worker, or several."},
            409: PROBLEM | {"description": "It is gone already."},
            422: PROBLEM | {"description": "No reason, or no requester."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def drain(
        served: Annotated[Intake, Depends(_intake)],
        worker: Annotated[str, Path(description="A name, or a prefix that is one worker's alone.")],
        body: DrainAsked,
    ) -> Drained:
        refuse_secrets(body.model_dump(mode="json"))
        return await served.ledger.drain_worker(
            served.reader.find_worker(worker), body.requester, body.reason, served.clock.now()
        )
