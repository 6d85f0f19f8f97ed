"""The way in over HTTP: ask for runs, look at them, and learn which pipelines there are.

`api` gives the application and its OpenAPI document (docs/reference/openapi.json, written by
`python -m dispatcher.openapi`); `create_app` gives it what it works with. Errors: problems.py.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry.trace import SpanKind, Tracer
from pydantic import ValidationError

from contracts.fact import Fact
from contracts.pipeline import ParameterSpec
from contracts.request import PipelineName, RunAccepted, RunRequest
from contracts.states import State
from dispatcher.access import (
    Access,
    Asker,
    checked,
    describe_access,
    guard,
    must_reach,
    must_see,
)
from dispatcher.body_limit import BodyLimit
from dispatcher.faults import PipelineRefused
from dispatcher.flow import FlowControl
from dispatcher.http_approvals import serve_approvals
from dispatcher.http_cancel import serve_cancellations
from dispatcher.http_flow import serve_flow
from dispatcher.http_looking import serve_looking
from dispatcher.http_policy import serve_policy
from dispatcher.http_redrives import serve_redrives
from dispatcher.http_schedules import serve_schedules
from dispatcher.http_workers import serve_workers
from dispatcher.intake import Intake
from dispatcher.pipeline_folder import PipelineFolders
from dispatcher.pressure import PLACES, SLOW, Pressure
from dispatcher.problems import RESPONSE as PROBLEM
from dispatcher.problems import answer_problems, describe_problems
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from dispatcher.supervised import Supervised
from dispatcher.traces import intake_span, note_run
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import RunDetail, RunRow
from fleet.telemetry.context import traceparent_of


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSite:
    """What the application works with."""

    intake: Intake
    redrives: Redrives
    resender: Resender
    pipelines: PipelineFolders
    flow: FlowControl
    schedules: Schedules
    reader: LedgerReader
    browser: LedgerBrowser
    tracer: Tracer
    access: Access
    loops: tuple[Supervised, ...] = ()
    """While one of these fails, the process is not ready."""


class PipelineEntry(Fact):
    """One pipeline in a list."""

    name: str
    version: int | None
    description: str
    faults: int
    """Of its pipeline.yaml; 0 means that it can be run."""


class StageEntry(Fact):
    """One stage of a pipeline."""

    name: str
    kind: str
    needs: tuple[str, ...]
    fans_out: bool


class PipelineDetail(Fact):
    """What a requester needs to know of a pipeline."""

    name: str
    version: int
    description: str
    parameters: dict[str, ParameterSpec]
    stages: tuple[StageEntry, ...]


class Health(Fact):
    """`ready` or `live` when all is well; what is wrong otherwise."""

    status: str
    failing: tuple[str, ...] = ()


_EXAMPLE = {
    "pipeline": "guarantee_report",
    "parameters": {"client": "C-001", "source": "claims"},
    "scope": {"tenant": "acme", "audience": "tenant"},
    "requester": "it-request-4711",
    "key": "it-request-4711",
}


def _site(request: Request) -> HttpSite:
    site: HttpSite = request.app.state.site
    return site


Sited = Annotated[HttpSite, Depends(_site)]
KeyHeader = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description="The same as `key` in the body; either will do."),
]
TraceHeader = Annotated[
    str | None, Header(alias="traceparent", description="W3C Trace Context: the run continues it.")
]
RunId = Annotated[str, Path(description="A run's id, or a prefix that is one run's alone.")]


def create_app(site: HttpSite, *, places: int = PLACES, slow: float = SLOW) -> FastAPI:
    """The application, ready to serve. `places`, `slow`: see dispatcher.pressure."""
    app = api()
    app.state.site = site
    # Outermost: what is turned away is not even read.
    app.add_middleware(
        Pressure, stalled=lambda: site.intake.ledger.stalled, places=places, slow=slow
    )
    return app


def api() -> FastAPI:
    """The application without what it works with: enough for its document."""
    app = _Api(
        title="Leaf Fleet dispatcher",
        version="1",
        summary="Ask for runs of pipelines, and follow them.",
        description=(
            "A run is asked for once: the same `key` of the same tenant finds the run that is "
            "there. Every error is `application/problem+json` with the faults, each with its "
            "line in pipeline.yaml where there is one."
        ),
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        dependencies=[Depends(checked)],
    )
    app.add_middleware(BodyLimit)
    answer_problems(app)
    guard(app)
    _runs(app)
    _pipelines(app)
    serve_redrives(app)
    serve_approvals(app)
    serve_policy(app)
    serve_cancellations(app)
    serve_looking(app)
    serve_flow(app)
    serve_schedules(app)
    serve_workers(app)
    _health(app)
    return app


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        describe_problems(document)
        describe_access(document)
        return document


def _runs(app: FastAPI) -> None:
    @app.post(
        "/v1/runs",
        status_code=202,
        tags=["runs"],
        operation_id="submit_run",
        summary="Ask for a run",
        responses={
            200: {"model": RunAccepted, "description": "The key has started this run already."},
            202: {"description": "A new run; its state says whether policy allowed it."},
            400: PROBLEM | {"description": "Not JSON, or two different keys."},
            404: PROBLEM | {"description": "No such pipeline."},
            409: PROBLEM | {"description": "The key belongs to a different request."},
            413: PROBLEM | {"description": "The body is too large."},
            422: PROBLEM | {"description": "The request or the pipeline is faulty."},
            429: PROBLEM | {"description": "Too many requests at once; see Retry-After."},
            503: PROBLEM | {"description": "Not possible now; see Retry-After."},
        },
        openapi_extra={
            "requestBody": {"content": {"application/json": {"example": _EXAMPLE}}},
        },
    )
    async def submit(
        *,
        site: Sited,
        asker: Asker,
        body: RunRequest,
        response: Response,
        idempotency_key: KeyHeader = None,
        traceparent: TraceHeader = None,
    ) -> RunAccepted:
        must_reach(asker, body.scope.tenant)
        request = _keyed(body, idempotency_key)
        with intake_span(site.tracer, "POST /v1/runs", SpanKind.SERVER, traceparent) as span:
            accepted = await site.intake.accept(request, traceparent_of(span))
            note_run(span, accepted)
        response.status_code = 202 if accepted.created else 200
        response.headers["Location"] = f"/v1/runs/{accepted.run}"
        return accepted

    @app.get("/v1/runs", tags=["runs"], operation_id="list_runs", summary="Runs, newest first")
    def runs(
        *,
        site: Sited,
        asker: Asker,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        state: State | None = None,
        pipeline: PipelineName | None = None,
        tenant: str | None = None,
    ) -> list[RunRow]:
        if tenant is not None:
            must_reach(asker, tenant)
        return site.reader.runs(
            limit=limit, state=state, pipeline=pipeline, tenant=tenant, tenants=asker.tenants
        )

    @app.get(
        "/v1/runs/{run}",
        tags=["runs"],
        operation_id="get_run",
        summary="One run with its stages",
        responses={404: PROBLEM | {"description": "No such run, or several."}},
    )
    def run(site: Sited, asker: Asker, run: RunId) -> RunDetail:
        detail = site.reader.run(site.reader.find_run(run))
        must_see(asker, detail.tenant, run)
        return detail


def _pipelines(app: FastAPI) -> None:
    @app.get(
        "/v1/pipelines",
        tags=["pipelines"],
        operation_id="list_pipelines",
        summary="All pipelines, faulty ones included",
    )
    def pipelines(site: Sited) -> list[PipelineEntry]:
        return [_entry(site.pipelines, name) for name in site.pipelines.names()]

    @app.get(
        "/v1/pipelines/{name}",
        tags=["pipelines"],
        operation_id="get_pipeline",
        summary="A pipeline's parameters and stages",
        responses={
            404: PROBLEM | {"description": "No such pipeline."},
            422: PROBLEM | {"description": "Its pipeline.yaml is faulty; each fault's line."},
        },
    )
    def pipeline(site: Sited, name: str) -> PipelineDetail:
        found = site.pipelines.load(name).located.pipeline
        return PipelineDetail(
            name=found.name,
            version=found.version,
            description=found.description,
            parameters=found.parameters,
            stages=tuple(
                StageEntry(
                    name=stage.name,
                    kind=stage.kind,
                    needs=stage.parents,
                    fans_out=stage.each is not None,
                )
                for stage in found.stages
            ),
        )


def _health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"], operation_id="live", summary="The process answers")
    async def live() -> Health:
        return Health(status="live")

    @app.get(
        "/readyz",
        tags=["health"],
        operation_id="ready",
        summary="The ledger answers and envelopes reach the bus",
        responses={503: {"model": Health, "description": "Something it needs is away."}},
    )
    def ready(site: Sited, response: Response) -> Health:
        site.reader.runs(limit=1)
        failing = tuple(f"{loop.name}: {loop.failing}" for loop in site.loops if loop.failing)
        response.status_code = 503 if failing else 200
        return Health(status="not ready" if failing else "ready", failing=failing)


def _entry(pipelines: PipelineFolders, name: str) -> PipelineEntry:
    try:
        found = pipelines.load(name).located.pipeline
    except PipelineRefused as refused:
        return PipelineEntry(name=name, version=None, description="", faults=len(refused.faults))
    return PipelineEntry(name=name, version=found.version, description=found.description, faults=0)


def _keyed(body: RunRequest, header: str | None) -> RunRequest:
    if header is None or header == body.key:
        return body
    if body.key is not None:
        raise HTTPException(400, "the header Idempotency-Key and the body's key differ")
    try:
        return RunRequest.model_validate({**body.model_dump(), "key": header})
    except ValidationError as cause:
        raise RequestValidationError(cause.errors(include_url=False)) from None
