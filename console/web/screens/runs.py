"""Runs: filtered, a page at a time; several may be cancelled at once."""

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response

from console.errors import ConsoleError
from console.web.faults import Unusable
from console.web.render import page
from console.web.visit import Acting, Visited, own_path
from contracts.access import Action
from contracts.states import RUN_STATES, State
from fleet.ledger.browse import RunFilter

PAGE = 50
MOST = 500
"""Runs of one bulk action."""


def serve(app: FastAPI) -> None:
    """Add the page to `app`."""

    @app.get("/runs")
    def runs(visit: Visited, request: Request) -> Response:
        query = request.query_params
        wanted = wanted_runs(query.get, visit.identity.tenants)
        found = visit.site.browser.runs(wanted, query.get("after") or None, PAGE)
        return page(
            visit,
            "runs.html",
            found=found,
            wanted=wanted,
            pipelines=visit.site.browser.pipelines(),
            tenants=visit.identity.tenants or visit.site.browser.tenants(),
            states=[state for state in State if state in RUN_STATES],
            cancel_refused=visit.refused(Action.RUN_CANCEL),
        )

    @app.post("/runs/cancel")
    def cancel(visit: Visited, form: Acting) -> Response:
        visit.must(Action.RUN_CANCEL)
        reason = form.said("reason", "why")
        chosen = list(dict.fromkeys(form.many("run")))
        if not chosen:
            raise Unusable("no run is chosen")
        if len(chosen) > MOST:
            raise Unusable(f"choose {MOST} runs at most")
        said = _cancelled(visit, chosen, reason)
        return visit.back_to(own_path(form.get("back", "/runs")), said)


def _cancelled(visit: Visited, runs: list[str], reason: str) -> str:
    done, refused = 0, []
    with visit.intake() as intake:
        for run in runs:
            found = visit.site.reader.run(run)
            visit.may_see(found)
            try:
                intake.cancel_run(run, visit.identity.name, reason)
                done += 1
            except ConsoleError as cause:
                refused.append(f"{run}: {cause}")
    told = "1 run" if done == 1 else f"{done} runs"
    said = f"Cancellation of {told} was asked for; what is running may still end."
    return said if not refused else f"{said} Not done: {'; '.join(refused)}"


def wanted_runs(get: Callable[[str], str | None], tenants: tuple[str, ...] | None) -> RunFilter:
    """The filter that an address says. Raises Unusable."""
    state = get("state") or None
    if state is not None and state not in {str(one) for one in RUN_STATES}:
        raise Unusable(f"there is no state {state!r} of a run")
    return RunFilter(
        tenants=tenants,
        tenant=get("tenant") or None,
        pipeline=get("pipeline") or None,
        state=None if state is None else State(state),
        since=_time(get("since")),
        until=_time(get("until")),
        text=(get("text") or "").strip()[:200],
    )


def _time(text: str | None) -> datetime | None:
    """As a browser's field gives it, in UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable(f"{text[:40]!r} is no time: write 2026-01-31T12:00") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
