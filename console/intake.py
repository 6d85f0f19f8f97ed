"""The dispatcher's HTTP intake, as the console uses it."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from console.errors import Refused, Unreachable
from contracts.fact import Fact, JsonObject
from contracts.pipeline import ParameterType
from contracts.request import RunAccepted, RunRequest
from fleet.ledger.cancel import Cancelled
from fleet.ledger.drains import Drained
from fleet.ledger.rows import RedriveJob, RedrivePreview
from fleet.ledger.schedules import ScheduleRow
from fleet.ledger.votes import Voted


class Retried(Fact):
    """The attempt that was promised, and how its payload differs from the last one's."""

    task: str
    run: str
    dry_run: bool
    redrives: int
    attempt: int
    edit: tuple[JsonObject, ...]
    """A JSON Patch with `was` beside each value."""
    payload: JsonObject


class Resent(Fact):
    """A message that was sent again, and how it differs from the one that was not taken."""

    queue: str
    sequence_number: int
    dry_run: bool
    became: str
    edit: tuple[JsonObject, ...]


def bearing(token: SecretStr | None) -> dict[str, str]:
    """The headers of a login by token; none where there is no token."""
    return {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}


_TIMEOUT = httpx.Timeout(30.0, connect=5.0)


class Intake:
    """One dispatcher. Use it in a `with` block."""

    def __init__(self, host: str, port: int, *, login: Mapping[str, str] | None = None) -> None:
        """`login`: headers that say who asks; see `bearing`."""
        self._address = f"http://{host}:{port}"
        self._client = httpx.Client(base_url=self._address, timeout=_TIMEOUT, headers=login)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def parameters(self, pipeline: str) -> dict[str, ParameterType]:
        """A pipeline's parameters with their types.

        Raises Refused where there is no such pipeline or its files are wrong; Unreachable.
        """
        told = self._asked("GET", f"/v1/pipelines/{quote(pipeline, safe='')}")
        specs = told["parameters"].items()
        return {name: ParameterType(spec["type"]) for name, spec in specs}

    def submit(self, request: RunRequest) -> RunAccepted:
        """Raises Refused with every fault and its line; Unreachable, when nobody knows whether the
        run was started: asking again with the same key is safe."""
        told = self._asked("POST", "/v1/runs", request.model_dump_json())
        return RunAccepted.model_validate(told)

    def cancel_run(self, run: str, requester: str, reason: str) -> None:
        """Ask for a run's cancellation. Raises Refused, Unreachable."""
        self.cancel("runs", run, {"requester": requester, "reason": reason})

    def cancel(
        self, what: Literal["runs", "tasks"], which: str, asked: dict[str, Any]
    ) -> Cancelled:
        """Cancel a run or a task. Raises Refused, Unreachable."""
        path = f"/v1/{what}/{quote(which, safe='')}/cancel"
        return Cancelled.model_validate(self._asked("POST", path, json.dumps(asked)))

    def preview(self, asked: dict[str, Any]) -> RedrivePreview:
        """What a redrive would choose. Raises Refused, Unreachable."""
        told = self._asked("POST", "/v1/redrives", json.dumps(asked | {"dry_run": True}))
        return RedrivePreview.model_validate(told["preview"])

    def redrive(self, asked: dict[str, Any]) -> RedriveJob:
        """Start a redrive. Raises Refused; Unreachable, when nobody knows whether it was started:
        asking again with the same `job` is safe."""
        told = self._asked("POST", "/v1/redrives", json.dumps(asked))
        return RedriveJob.model_validate(told["job"])

    def cancel_redrive(self, job: str, requester: str, reason: str) -> RedriveJob:
        """Let a redrive go no further. Raises Refused, Unreachable."""
        path = f"/v1/redrives/{quote(job, safe='')}/cancel"
        told = self._asked("POST", path, json.dumps({"requester": requester, "reason": reason}))
        return RedriveJob.model_validate(told)

    def retry(self, task: str, asked: dict[str, Any]) -> Retried:
        """Have a task tried again, edited. Raises Refused with every fault; Unreachable."""
        path = f"/v1/tasks/{quote(task, safe='')}/retry"
        return Retried.model_validate(self._asked("POST", path, json.dumps(asked)))

    def pause(self, what: str, name: str, asked: dict[str, Any], *, resume: bool) -> dict[str, Any]:
        """Pause or resume a lane or pipeline; how it stands. Raises Refused, Unreachable."""
        verb = "resume" if resume else "pause"
        path = f"/v1/{what}s/{quote(name, safe='')}/{verb}"
        return self._asked("POST", path, json.dumps(asked))

    def drain(self, worker: str, asked: dict[str, Any]) -> Drained:
        """Have a worker stop. Raises Refused, Unreachable."""
        path = f"/v1/workers/{quote(worker, safe='')}/drain"
        return Drained.model_validate(self._asked("POST", path, json.dumps(asked)))

    def put_schedule(self, name: str, asked: dict[str, Any]) -> ScheduleRow:
        """Add or change a schedule. Raises Refused with every fault; Unreachable."""
        path = f"/v1/schedules/{quote(name, safe='')}"
        return ScheduleRow.model_validate(self._asked("PUT", path, json.dumps(asked)))

    def switch_schedule(self, name: str, action: str, asked: dict[str, str]) -> dict[str, Any]:
        """Pause, resume, remove or trigger. Raises Refused, Unreachable."""
        path = f"/v1/schedules/{quote(name, safe='')}/{action}"
        return self._asked("POST", path, json.dumps(asked))

    def vote(self, task: str, asked: dict[str, Any]) -> Voted:
        """Approve or refuse a held task. Raises Refused, Unreachable."""
        path = f"/v1/approvals/{quote(task, safe='')}"
        return Voted.model_validate(self._asked("POST", path, json.dumps(asked)))

    def policy(self) -> dict[str, Any]:
        """The rules that the dispatcher decides by. Raises Refused, Unreachable."""
        return self._asked("GET", "/v1/policy")

    def resend(self, queue: str, sequence_number: int, asked: dict[str, Any]) -> Resent:
        """Have a message sent again, edited. Raises Refused with every fault; Unreachable."""
        path = f"/v1/dead-letters/messages/{quote(queue, safe='')}/{sequence_number}/resend"
        return Resent.model_validate(self._asked("POST", path, json.dumps(asked)))

    def _asked(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            response = self._client.request(method, path, content=body, headers=headers)
            told = response.json()
        except httpx.HTTPError as cause:
            raise Unreachable(
                f"the dispatcher at {self._address} does not answer ({type(cause).__name__}): "
                "start the stack with `fleet up`, or set FLEET_HTTP_HOST and FLEET_HTTP_PORT"
            ) from None
        except ValueError:
            raise Unreachable(f"what answers at {self._address} is not a dispatcher") from None
        if response.is_success:
            return dict(told)
        raise _problem(response.status_code, told)


def _problem(status: int, told: Any) -> Refused | Unreachable:
    """problem+json (RFC 9457) as one line and, where there are several faults, a line for each."""
    problem = told if isinstance(told, dict) else {}
    title = problem.get("title", f"HTTP status {status}")
    if status >= 500 or status == 429:
        return Unreachable(f"the dispatcher cannot do it now: {problem.get('detail', title)}")
    lines = [_fault(fault) for fault in problem.get("faults", [])] or [problem.get("detail", "")]
    return Refused("\n  ".join([f"refused: {title}", *(line for line in lines if line)]))


def _fault(fault: dict[str, Any]) -> str:
    if fault.get("line") is not None:
        return f"pipeline.yaml line {fault['line']}: {fault['message']}"
    return f"{fault['field']}: {fault['message']}" if fault.get("field") else str(fault["message"])
