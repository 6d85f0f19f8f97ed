"""Looking over HTTP: tasks, artifacts and their bytes, lanes, workers, traces, what people did.

Lists that can be long come a page at a time: a `Link` header with `rel="next"` (RFC 8288) says
where they go on, and its absence that they have ended.
"""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import AwareDatetime

from contracts.access import Identity
from contracts.artifact import ArtifactPointer, Tier
from contracts.fact import Fact
from contracts.states import State
from dispatcher.access import Asker, Forbidden, must_see
from dispatcher.intake import Intake
from dispatcher.problems import RESPONSE as PROBLEM
from fleet.access.leaving import leaving
from fleet.ledger.audit import Act
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import EventRow, LaneRow, RunDetail, SpanRow, TaskDetail, TaskRow, WorkerRow

_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: PROBLEM | {"description": "No such thing, or several."}
}
RunId = Annotated[str, Path(description="A run's id, or a prefix that is one run's alone.")]
TaskId = Annotated[str, Path(description="A task's id, or a prefix that is one task's alone.")]
After = Annotated[str | None, Query(description="Where to go on: from the `Link` of the page.")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Count = Annotated[int, Path(ge=0, lt=2**31)]


class ArtifactEntry(Fact):
    """One artifact of a run, and where its bytes are."""

    task: str
    stage: str
    partition: str
    epoch: int
    position: int
    recorded: AwareDatetime
    pointer: ArtifactPointer
    bytes: str
    """The path under this server."""


@dataclass(frozen=True, slots=True)
class _Looking:
    """What the operations look with."""

    intake: Intake
    browser: LedgerBrowser

    @property
    def reader(self) -> LedgerReader:
        return self.intake.reader

    def run(self, asker: Identity, run: str) -> RunDetail:
        """A run that may be seen. Raises UnknownRow."""
        detail = self.reader.run(self.reader.find_run(run))
        must_see(asker, detail.tenant, run)
        return detail


def _looking(request: Request) -> _Looking:
    site = request.app.state.site
    return _Looking(site.intake, site.browser)


Looking = Annotated[_Looking, Depends(_looking)]


def serve_looking(app: FastAPI) -> None:
    """Add the operations to `app`."""
    _tasks(app)
    _artifacts(app)
    _fleet(app)


def _tasks(app: FastAPI) -> None:
    @app.get(
        "/v1/runs/{run}/tasks",
        tags=["runs"],
        operation_id="list_tasks",
        summary="A run's tasks, by stage and partition",
        responses=_NOT_FOUND,
    )
    def tasks(
        *,
        looking: Looking,
        asker: Asker,
        request: Request,
        response: Response,
        run: RunId,
        stage: str | None = None,
        state: State | None = None,
        after: After = None,
        limit: Limit = 200,
    ) -> tuple[TaskRow, ...]:
        found = looking.run(asker, run)
        page = looking.browser.tasks(found.run, stage, state, after, limit)
        _link(request, response, page.next)
        return page.rows

    @app.get(
        "/v1/runs/{run}/history",
        tags=["runs"],
        operation_id="list_history",
        summary="Every move of a run and its tasks, in order",
        responses=_NOT_FOUND,
    )
    def history(looking: Looking, run: RunId) -> list[EventRow]:
        return looking.reader.history(looking.reader.find_run(run))

    @app.get(
        "/v1/tasks/{task}",
        tags=["runs"],
        operation_id="get_task",
        summary="One task: attempts, decisions with reasons, inputs, outputs, history",
        responses=_NOT_FOUND,
    )
    def task(looking: Looking, task: TaskId) -> TaskDetail:
        return looking.reader.task(looking.reader.find_task(task))

    @app.get(
        "/v1/traces/{trace}",
        tags=["runs"],
        operation_id="get_trace",
        summary="The spans of one trace that are kept here, in the order they began",
    )
    def trace(
        looking: Looking, trace: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
    ) -> list[SpanRow]:
        return looking.reader.spans(trace)


def _artifacts(app: FastAPI) -> None:
    @app.get(
        "/v1/runs/{run}/artifacts",
        tags=["artifacts"],
        operation_id="list_artifacts",
        summary="What a run made; people of a tenant see what was published to them",
        responses=_NOT_FOUND,
    )
    def artifacts(
        *,
        looking: Looking,
        asker: Asker,
        request: Request,
        response: Response,
        run: RunId,
        tier: Tier | None = None,
        after: After = None,
        limit: Limit = 200,
    ) -> list[ArtifactEntry]:
        found = looking.run(asker, run)
        page = looking.browser.artifacts(
            run=found.run, tenants=asker.tenants, cursor=after, limit=limit
        )
        _link(request, response, page.next)
        return [
            ArtifactEntry(
                **row.model_dump(exclude={"pointer"}),
                position=position,
                pointer=row.pointer,
                bytes=f"/v1/artifacts/{row.task}/{row.epoch}/{position}",
            )
            for _, position, row in page.rows
            if tier is None or row.pointer.tier is tier
        ]

    @app.get(
        "/v1/artifacts/{task}/{epoch}/{position}",
        tags=["artifacts"],
        operation_id="get_artifact",
        summary="An artifact's bytes, once the publish gate lets them go",
        response_class=FileResponse,
        responses=_NOT_FOUND
        | {403: PROBLEM | {"description": "The publish gate keeps it here; the reasons."}},
    )
    def artifact(
        looking: Looking, asker: Asker, task: str, epoch: Count, position: Count
    ) -> FileResponse:
        run, row = looking.browser.artifact(task, epoch, position)
        looking.run(asker, run)
        path = looking.intake.store.local_path(row.pointer)
        decision = leaving(
            looking.intake.gate.now, asker, looking.reader.task(task), row.pointer, path
        )
        if not decision.allowed:
            raise Forbidden("; ".join(reason.text for reason in decision.reasons))
        return FileResponse(
            path,
            media_type="application/octet-stream",
            filename=row.pointer.name.rsplit("/", 1)[-1],
            headers={"ETag": f'"{row.pointer.digest}"'},
        )


def _fleet(app: FastAPI) -> None:
    @app.get(
        "/v1/lanes",
        tags=["fleet"],
        operation_id="list_lanes",
        summary="Lanes that have open tasks, by state",
    )
    def lanes(looking: Looking) -> list[LaneRow]:
        return looking.reader.lanes()

    @app.get(
        "/v1/workers",
        tags=["fleet"],
        operation_id="list_workers",
        summary="Every worker that was ever seen, live ones first",
    )
    def workers(looking: Looking) -> list[WorkerRow]:
        return looking.reader.workers()

    @app.get(
        "/v1/audit",
        tags=["fleet"],
        operation_id="list_acts",
        summary="What people did, the latest first",
        responses=_NOT_FOUND,
    )
    def acts(
        *,
        looking: Looking,
        request: Request,
        response: Response,
        submissions: Annotated[bool, Query(description="Also runs that were asked for.")] = True,
        after: After = None,
        limit: Limit = 100,
    ) -> tuple[Act, ...]:
        page = looking.reader.acts(after, limit, submissions=submissions)
        _link(request, response, page.next)
        return page.rows


def _link(request: Request, response: Response, cursor: str | None) -> None:
    """Say where a list goes on. A path alone: what stands before this server is its own affair."""
    if cursor is None:
        return
    query = {**request.query_params, "after": cursor}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
