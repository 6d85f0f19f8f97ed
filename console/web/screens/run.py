"""One run: its graph with live states, its waterfall, artifacts, decisions, and the run before."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from console.comparison import compared
from console.verification import verified
from console.web.drawing import Row, graph, waterfall
from console.web.faults import Unusable
from console.web.render import page
from console.web.visit import Acting, Visit, Visited
from contracts.access import Action
from contracts.artifact import Tier
from contracts.states import FINAL, State
from fleet.ledger.browse import PREVIOUS, published_to
from fleet.ledger.rows import ArtifactRow, RunDetail, StageRow
from fleet.telemetry.lines import true_spans

TASKS = 200
ARTIFACTS = 60
_NO_PREVIOUS = (
    f"There is no earlier run of the same request among the latest {PREVIOUS} of this pipeline and "
    "tenant."
)
_TIERS = (Tier.PRESENTED, Tier.CURATED, Tier.EVIDENCE, Tier.SILVER, Tier.BRONZE)
"""What people came for, first."""
_TROUBLE = (State.FAILED, State.DEAD, State.DENIED, State.HELD, State.PARKED)


@dataclass(frozen=True, slots=True)
class StagePair:
    """A stage of this run beside the same stage of another."""

    stage: str
    here: StageRow | None
    there: StageRow | None


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/runs/{run}")
    def one_run(visit: Visited, run: str) -> Response:
        detail = _found(visit, run)
        site = visit.site
        troubled = [
            task
            for state in _TROUBLE
            if any(stage.states.get(state) for stage in detail.stages)
            for task in site.browser.tasks(detail.run, state=state, limit=10).rows
        ]
        rows = _waterfall(visit, detail)
        made = site.browser.artifacts(
            run=detail.run, tenants=visit.identity.tenants, limit=ARTIFACTS
        )
        return page(
            visit,
            "run.html",
            run=detail,
            graph=graph(detail.stages),
            rows=rows,
            traced=any(row.beside or any(bar.parts for bar in row.bars) for row in rows),
            troubled=troubled,
            artifacts=sorted(made.rows, key=lambda one: _TIERS.index(one[2].pointer.tier)),
            more_artifacts=made.next is not None,
            cancel_refused=_why_not_cancelled(visit, detail),
            verify_refused=visit.refused(Action.RUN_VERIFY, detail.tenant),
            checked=None,
        )

    @app.get("/runs/{run}/tasks")
    def tasks(visit: Visited, request: Request, run: str) -> Response:
        detail = _found(visit, run)
        query = request.query_params
        state = query.get("state") or None
        if state is not None and state not in set(State):
            raise Unusable(f"there is no state {state!r} of a task")
        found = visit.site.browser.tasks(
            detail.run,
            stage=query.get("stage") or None,
            state=None if state is None else State(state),
            cursor=query.get("after") or None,
            limit=TASKS,
        )
        return page(visit, "tasks.html", run=detail, found=found)

    _serve_comparison(app)
    _serve_acts(app)


def _serve_comparison(app: FastAPI) -> None:
    @app.get("/runs/{run}/compare")
    def compare_with_previous(visit: Visited, run: str) -> Response:
        """Looked for when somebody asks, not for each page of a run: it reads up to a hundred runs,
        which lie all over the ledger."""
        detail = _found(visit, run)
        if (previous := visit.site.browser.previous(detail.run)) is not None:
            return RedirectResponse(f"/runs/{detail.run}/compare/{previous}", status_code=303)
        return visit.back_to(f"/runs/{detail.run}", _NO_PREVIOUS)

    @app.get("/runs/{run}/compare/{other}")
    def compare(visit: Visited, run: str, other: str) -> Response:
        here, there = _found(visit, run), _found(visit, other)
        pairs = compared(artifacts_of(visit, here.run), artifacts_of(visit, there.run))
        return page(
            visit,
            "compare.html",
            run=here,
            other=there,
            stages=_stages_compared(here, there),
            artifacts=sorted(pairs, key=lambda pair: (pair.same, pair.place, pair.name)),
        )


def _serve_acts(app: FastAPI) -> None:
    @app.post("/runs/{run}/cancel")
    def cancel(visit: Visited, form: Acting, run: str) -> Response:
        detail = _found(visit, run)
        visit.must(Action.RUN_CANCEL, detail.tenant)
        asked = {
            "requester": visit.identity.name,
            "reason": form.said("reason", "why"),
            "force": form.get("force") == "yes",
        }
        with visit.intake() as intake:
            intake.cancel("runs", detail.run, asked)
        return visit.back_to(
            f"/runs/{detail.run}", "Cancellation was asked for; what is running may still end."
        )

    @app.post("/runs/{run}/verify")
    def verify(visit: Visited, form: Acting, run: str) -> Response:
        detail = _found(visit, run)
        visit.must(Action.RUN_VERIFY, detail.tenant)
        found = verified(visit.site.settings.home, detail.run)
        return visit.back_to(f"/runs/{detail.run}", found.in_words)


def _waterfall(visit: Visit, run: RunDetail) -> tuple[Row, ...]:
    """From the trace where the store has it; of a wide run, a row a stage, from the attempts."""
    browser = visit.site.browser
    spans = browser.trace(run.run, run.trace_id) if run.trace_id and run.tasks <= TASKS else []
    until = run.ended or visit.now
    return waterfall(browser.attempts(run.run), run.submitted, until, true_spans(spans))


def artifacts_of(visit: Visit, run: str) -> list[ArtifactRow]:
    """What a run made, as far as this person may know of it."""
    tenants = visit.identity.tenants
    return [
        row
        for row in visit.site.reader.artifacts(run)
        if tenants is None or published_to(row.pointer, tenants)
    ]


def _stages_compared(here: RunDetail, there: RunDetail) -> list[StagePair]:
    ours = {stage.stage: stage for stage in here.stages}
    theirs = {stage.stage: stage for stage in there.stages}
    names = [*ours, *(name for name in theirs if name not in ours)]
    return [StagePair(name, ours.get(name), theirs.get(name)) for name in names]


def _found(visit: Visit, run: str) -> RunDetail:
    detail = visit.site.reader.run(visit.site.reader.find_run(run))
    visit.may_see(detail)
    return detail


def _why_not_cancelled(visit: Visit, run: RunDetail) -> str | None:
    if run.state in FINAL:
        return (
            f"The run has ended: it {run.state}."
            if run.state != State.CANCELLED
            else ("The run was cancelled.")
        )
    return visit.refused(Action.RUN_CANCEL, run.tenant)
