"""Approvals over HTTP: the queue of held tasks and runs, and people's votes on them."""

from typing import Annotated

from fastapi import Depends, FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from contracts.fact import StrictFact
from contracts.request import Requester
from dispatcher.intake import Intake
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.problems import problem
from dispatcher.secrets_given import refuse_secrets
from fleet.ledger.errors import VoteRefused
from fleet.ledger.votes import ApprovalRow, Vote, Voted


class VoteAsked(StrictFact):
    """One person's word on a held task or run."""

    approver: Requester
    approve: bool
    """False refuses it, for good."""
    comment: str = Field(min_length=1, max_length=1000)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """As the queue shows it: what was looked at is what is approved."""


_EXAMPLE = {"approver": "grace", "approve": True, "comment": "agreed", "digest": "0" * 64}


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.site.intake
    return intake


Served = Annotated[Intake, Depends(_intake)]


def serve_approvals(app: FastAPI) -> None:
    """Add the operations to `app`."""
    app.add_exception_handler(VoteRefused, _does_not_count)

    @app.get(
        "/v1/approvals",
        tags=["approvals"],
        operation_id="list_approvals",
        summary="Held tasks and runs that wait for approval; what expires first comes first",
    )
    def approvals(
        intake: Served, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[ApprovalRow]:
        return intake.reader.approvals(limit)

    @app.post(
        "/v1/approvals/{task}",
        tags=["approvals"],
        operation_id="vote",
        summary="Approve or refuse a held task or run",
        responses={
            400: PROBLEM | {"description": "Not JSON."},
            404: PROBLEM | {"description": "No such task, or several."},
            409: PROBLEM | {"description": "It does not count: not held, changed, own, or twice."},
            422: PROBLEM | {"description": "Not a vote, or one with a secret."},
            503: PROBLEM | {"description": "Not possible now."},
        },
        openapi_extra={"requestBody": {"content": {"application/json": {"example": _EXAMPLE}}}},
    )
    async def vote(
        intake: Served,
        task: Annotated[
            str, Path(description="The id of a task or held run, or a prefix of one's alone.")
        ],
        body: VoteAsked,
    ) -> Voted:
        refuse_secrets(body.model_dump(mode="json"))
        voted = await intake.ledger.vote(
            Vote(
                task=intake.reader.find_held(task),
                digest=body.digest,
                person=body.approver,
                approves=body.approve,
                comment=body.comment,
                now=intake.clock.now(),
            )
        )
        intake.hurry(voted.run)
        return voted


async def _does_not_count(_: Request, cause: Exception) -> JSONResponse:
    return problem(409, "vote-refused", "It does not count", str(cause))
