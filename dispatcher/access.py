"""Who may ask what over HTTP: each operation is one action of contracts/access.py.

Every operation under /v1 stands in the table, or it is refused. Whoever asks is recorded under
their own name: a request that names somebody else is refused, but for a program that asks in
somebody's behalf, as `program:somebody`.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from contracts.access import Action, Identity, refusal
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.problems import problem
from fleet.access.errors import AccessRefused
from fleet.access.loopback import SOURCE as LOOPBACK
from fleet.access.source import Credentials, IdentitySource
from fleet.clock import Clock
from fleet.errors import FleetError
from fleet.ledger.errors import UnknownRow

ACTIONS: dict[str, Action] = {
    "submit_run": Action.RUN_SUBMIT,
    "list_runs": Action.RUN_SEE,
    "get_run": Action.RUN_SEE,
    "list_pipelines": Action.RUN_SEE,
    "get_pipeline": Action.RUN_SEE,
    "list_dead_letter_groups": Action.FLEET_SEE,
    "start_redrive": Action.DEAD_LETTER_REDRIVE,
    "list_redrives": Action.FLEET_SEE,
    "get_redrive": Action.FLEET_SEE,
    "list_redrive_items": Action.FLEET_SEE,
    "cancel_redrive": Action.DEAD_LETTER_REDRIVE,
    "retry_task": Action.DEAD_LETTER_EDIT,
    "resend_message": Action.DEAD_LETTER_EDIT,
    "list_approvals": Action.FLEET_SEE,
    "vote": Action.APPROVAL_VOTE,
    "cancel_run": Action.RUN_CANCEL,
    "cancel_task": Action.RUN_CANCEL,
    "get_policy": Action.FLEET_SEE,
    "list_tasks": Action.RUN_SEE,
    "list_history": Action.FLEET_SEE,
    "get_task": Action.FLEET_SEE,
    "get_trace": Action.FLEET_SEE,
    "list_artifacts": Action.ARTIFACT_SEE,
    "get_artifact": Action.ARTIFACT_SEE,
    "list_lanes": Action.FLEET_SEE,
    "list_workers": Action.FLEET_SEE,
    "drain_worker": Action.WORKER_DRAIN,
    "list_acts": Action.FLEET_SEE,
    "pause_lane": Action.LANE_PAUSE,
    "resume_lane": Action.LANE_PAUSE,
    "pause_pipeline": Action.LANE_PAUSE,
    "resume_pipeline": Action.LANE_PAUSE,
    "list_pauses": Action.FLEET_SEE,
    "list_pause_history": Action.FLEET_SEE,
    "list_slots": Action.FLEET_SEE,
    "put_schedule": Action.SCHEDULE_CHANGE,
    "remove_schedule": Action.SCHEDULE_CHANGE,
    "pause_schedule": Action.SCHEDULE_CHANGE,
    "resume_schedule": Action.SCHEDULE_CHANGE,
    "trigger_schedule": Action.SCHEDULE_CHANGE,
    "list_schedules": Action.FLEET_SEE,
    "get_schedule": Action.FLEET_SEE,
    "get_schedule_history": Action.FLEET_SEE,
}
"""What each operation is, by its id."""
OPEN = frozenset({"live", "ready"})
"""What is answered to anybody: probes."""
_NAMED = ("requester", "approver", "actor")
"""Fields of a body that say who asks."""


class Forbidden(FleetError):
    """They are known, and may not. Nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the application finds out who asks."""

    identities: IdentitySource
    clock: Clock


async def checked(request: Request) -> None:
    """Let an operation begin. Raises AccessRefused, Forbidden."""
    operation = getattr(request.scope.get("route"), "operation_id", None)
    if operation in OPEN:
        return
    access: Access = request.app.state.site.access
    given = Credentials(
        headers=request.headers,
        cookies={},  # nothing here is for a browser's own login
        peer=request.client.host if request.client else "",
    )
    # In a thread: the keys of an issuer may have to be fetched.
    found = await run_in_threadpool(access.identities.identified, given, access.clock.now())
    action = ACTIONS.get(str(operation))
    why = "This operation is closed." if action is None else refusal(found.identity, action)
    if why is not None:
        raise Forbidden(why)
    _must_be_own_name(found.identity, await _said(request))
    request.state.identity = found.identity


async def _said(request: Request) -> Any:
    """The body where it is JSON: no operation takes another, and it is theirs to refuse it."""
    try:
        return await request.json()
    except (ValueError, RecursionError):
        return None


def _asker(request: Request) -> Identity:
    identity: Identity = request.state.identity
    return identity


Asker = Annotated[Identity, Depends(_asker)]
"""Who asks, in an operation that treats tenants apart."""


def must_reach(asker: Identity, tenant: str) -> None:
    """Raises Forbidden where somebody asks for what is another tenant's."""
    if not asker.reaches(tenant):
        raise Forbidden("This belongs to a tenant that you are not kept to.")


def must_see(asker: Identity, tenant: str, run: str) -> None:
    """Raises UnknownRow for a run that is not theirs: not even that it exists is told."""
    if not asker.reaches(tenant):
        raise UnknownRow(f"there is no run {run}")


def _must_be_own_name(asker: Identity, body: Any) -> None:
    if asker.source == LOOPBACK or not isinstance(body, dict):
        return
    for field in _NAMED:
        named = body.get(field)
        if isinstance(named, str) and not _own(named, asker.name, field):
            raise Forbidden(f"You are {asker.name}: {field} must be that name.")


def _own(named: str, name: str, field: str) -> bool:
    # A vote is one's own: no program votes for people.
    return named == name or (field != "approver" and named.startswith(f"{name}:"))


def guard(app: FastAPI) -> None:
    """Answer what is refused as a problem."""
    app.add_exception_handler(AccessRefused, _nobody)
    app.add_exception_handler(Forbidden, _forbidden)


def describe_access(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document which operations want a token, and how they refuse."""
    document["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Of an issuer in the access file. Not asked for on the loopback while "
            "there is no access file.",
        }
    }
    for path in document["paths"].values():
        for operation in path.values():
            action = ACTIONS.get(operation["operationId"])
            if action is None:
                continue
            operation["security"] = [{"token": []}]
            operation["x-action"] = action.value
            refused = {"401": "Nobody was identified.", "403": f"They may not: `{action}`."}
            for status, words in refused.items():
                content = {
                    next(iter(PROBLEM["content"])): {
                        "schema": {"$ref": "#/components/schemas/Problem"}
                    }
                }
                operation["responses"][status] = {"description": words, "content": content}


async def _nobody(_: Request, cause: Exception) -> JSONResponse:
    headers = {"WWW-Authenticate": 'Bearer realm="leaf-fleet"'}
    return problem(401, "nobody", "Who asks is not known", str(cause), headers=headers)


async def _forbidden(_: Request, cause: Exception) -> JSONResponse:
    return problem(403, "forbidden", "They may not do this", str(cause))
