"""Artifacts: found, previewed, verified, downloaded; what each was made from and went into."""

from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse

from console.lineage import related
from console.web.drawing import graph
from console.web.faults import Forbidden, NotThere
from console.web.preview import preview
from console.web.render import page
from console.web.visit import Acting, Visit, Visited
from contracts.access import Action
from contracts.artifact import ArtifactPointer
from fleet.access.leaving import leaving
from fleet.artifacts.errors import ArtifactDamaged, ArtifactMissing
from fleet.ledger.browse import published_to
from fleet.ledger.rows import ArtifactRow, RunDetail, StageRow, TaskDetail

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An artifact with what it belongs to."""

    pointer: ArtifactPointer
    row: ArtifactRow
    run: RunDetail
    task: TaskDetail
    href: str


@dataclass(frozen=True, slots=True)
class Source:
    """One input of the attempt that made an artifact; `href` where a task of this run made it."""

    pointer: ArtifactPointer
    href: str | None


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/artifacts")
    def artifacts(visit: Visited, request: Request) -> Response:
        query, browser = request.query_params, visit.site.browser
        run = query.get("run") or None
        if run is not None:
            run = visit.site.reader.find_run(run)
            visit.may_see(visit.site.reader.run(run))
        found = browser.artifacts(
            run=run,
            tenants=visit.identity.tenants,
            text=query.get("text", "").strip()[:200],
            cursor=query.get("after") or None,
            limit=PAGE,
        )
        return page(visit, "artifacts.html", found=found, run=run)

    @app.get("/artifacts/{task}/{epoch}/{position}")
    def artifact(visit: Visited, task: str, epoch: int, position: int) -> Response:
        return _page(visit, _opened(visit, task, epoch, position))

    @app.post("/artifacts/{task}/{epoch}/{position}/verify")
    def verify(visit: Visited, form: Acting, task: str, epoch: int, position: int) -> Response:
        one = _opened(visit, task, epoch, position)
        visit.must(Action.ARTIFACT_VERIFY, one.run.tenant)
        try:
            visit.site.store.local_path(one.pointer)
        except (ArtifactDamaged, ArtifactMissing) as fault:
            return visit.back_to(one.href, f"Not verified: {fault}")
        size = f"{one.pointer.size:,} bytes"
        return visit.back_to(one.href, f"Verified now: {size} hash to {one.pointer.digest}.")

    @app.get("/artifacts/{task}/{epoch}/{position}/bytes")
    def download(visit: Visited, task: str, epoch: int, position: int) -> Response:
        one = _opened(visit, task, epoch, position)
        visit.must(Action.ARTIFACT_SEE, one.run.tenant)
        path = visit.site.store.local_path(one.pointer)
        decision = leaving(visit.site.gate.now, visit.identity, one.task, one.pointer, path)
        if not decision.allowed:
            raise Forbidden("; ".join(reason.text for reason in decision.reasons))
        # Never shown by the browser itself: a page made of somebody's bytes would be this site's.
        return FileResponse(
            path,
            media_type="application/octet-stream",
            filename=one.pointer.name.rsplit("/", 1)[-1],
            content_disposition_type="attachment",
        )


def _page(visit: Visit, one: Opened) -> Response:
    site, tenants = visit.site, visit.identity.tenants
    lineage = site.browser.lineage(one.run.run)
    made = site.reader.artifacts(one.run.run)
    above, below = related(one.task.task, one.pointer.digest, made, lineage)
    shown, decision, trouble = None, None, None
    try:
        path = site.store.local_path(one.pointer)
        decision = leaving(visit.site.gate.now, visit.identity, one.task, one.pointer, path)
        if decision.allowed:
            shown = preview(path, one.pointer.media_type, one.pointer.name)
    except (ArtifactDamaged, ArtifactMissing) as fault:
        trouble = str(fault)
    return page(
        visit,
        "artifact.html",
        one=one,
        decision=decision,
        preview=shown,
        trouble=trouble,
        sources=_sources(visit, one),
        readers=sorted(
            {
                (by.task, by.stage, by.partition)
                for by in lineage
                if by.digest == one.pointer.digest
            },
            key=lambda reader: reader[1:],
        ),
        graph=graph(_only(one.run.stages, above | below | {one.row.stage})),
        see_all=tenants is None,
        verify_refused=visit.refused(Action.ARTIFACT_VERIFY, one.run.tenant),
    )


def _opened(visit: Visit, task: str, epoch: int, position: int) -> Opened:
    site = visit.site
    run, row = site.browser.artifact(task, epoch, position)
    detail = site.reader.run(run)
    visit.may_see(detail)
    tenants = visit.identity.tenants
    if tenants is not None and not published_to(row.pointer, tenants):
        raise NotThere("there is no such artifact")
    return Opened(
        pointer=row.pointer,
        row=row,
        run=detail,
        task=site.reader.task(task),
        href=f"/artifacts/{task}/{epoch}/{position}",
    )


def _sources(visit: Visit, one: Opened) -> list[Source]:
    """What the task read, each with the page of it."""
    tenants = visit.identity.tenants
    addresses: dict[str, str] = {}
    for pointer in one.task.inputs:
        made = pointer.provenance
        if made is None or made.run != one.run.run:
            continue
        found = visit.site.browser.tasks(one.run.run, stage=made.stage, limit=1000).rows
        maker = next((task for task in found if task.partition == made.partition), None)
        if maker is not None:
            addresses |= {
                row.pointer.digest: f"/artifacts/{row.task}/{row.epoch}/{position}"
                for position, row in visit.site.browser.made_by(maker.task)
            }
    return [
        Source(pointer, addresses.get(pointer.digest))
        for pointer in one.task.inputs
        if tenants is None or published_to(pointer, tenants)
    ]


def _only(stages: tuple[StageRow, ...], names: set[str]) -> list[StageRow]:
    return [stage for stage in stages if stage.stage in names]
