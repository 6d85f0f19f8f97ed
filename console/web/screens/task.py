"""One task: attempts, history, envelope, decisions, spans, inputs and outputs, provenance."""

import json
from dataclasses import dataclass

from fastapi import FastAPI, Response

from console.web.faults import Forbidden, NotThere, Unusable
from console.web.render import page
from console.web.visit import Acting, Visit, Visited
from contracts.access import Action
from contracts.artifact import ArtifactPointer
from contracts.fact import JsonObject
from contracts.states import FINAL, State
from fleet.ledger.browse import published_to
from fleet.ledger.rows import SpanRow, TaskDetail
from fleet.telemetry.lines import left_out, lines_of, true_spans
from fleet.telemetry.redact import redacted_json

REDRIVABLE = (State.FAILED, State.DEAD, State.DENIED, State.PARKED)
_SPANS = 400


@dataclass(frozen=True, slots=True)
class Step:
    """One span of a trace with its place: how deep, from where, how long, of 1000."""

    span: SpanRow
    depth: int
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class Made:
    """An output with the address of its page."""

    pointer: ArtifactPointer
    href: str | None


def serve(app: FastAPI) -> None:
    """Add the pages to `app`."""

    @app.get("/tasks/{task}")
    def one_task(visit: Visited, task: str) -> Response:
        return _page(visit, _found(visit, task))

    @app.post("/tasks/{task}/cancel")
    def cancel(visit: Visited, form: Acting, task: str) -> Response:
        detail = _found(visit, task)
        visit.must(Action.RUN_CANCEL, visit.site.reader.run(detail.run).tenant)
        asked = {
            "requester": visit.identity.name,
            "reason": form.said("reason", "why"),
            "force": form.get("force") == "yes",
        }
        with visit.intake() as intake:
            answer = intake.cancel("tasks", detail.task, asked)
        return visit.back_to(
            f"/tasks/{detail.task}", f"Cancellation asked for; it is {answer.state}."
        )

    @app.post("/tasks/{task}/retry")
    def retry(visit: Visited, form: Acting, task: str) -> Response:
        detail = _found(visit, task)
        visit.must(Action.TASK_RETRY, visit.site.reader.run(detail.run).tenant)
        trying = form.get("way") == "dry_run"
        reason = (
            form.get("reason", "").strip() or "dry run" if trying else form.said("reason", "why")
        )
        asked = {
            "requester": visit.identity.name,
            "reason": reason,
            "dry_run": trying,
            **_edit(detail, form.get("payload", "")),
        }
        if not trying and (form.get("attempt") or str(detail.attempt)) != str(detail.attempt):
            raise Forbidden("The task was tried again since this page was loaded. Look at it anew.")
        with visit.intake() as intake:
            answer = intake.retry(detail.task, asked)
        if trying:
            return _page(visit, detail, payload=form.get("payload"), edit=answer.edit)
        return visit.back_to(f"/tasks/{detail.task}", f"Queued as attempt {answer.attempt}.")


def _page(
    visit: Visit,
    task: TaskDetail,
    payload: str | None = None,
    edit: tuple[JsonObject, ...] | None = None,
) -> Response:
    site, tenants = visit.site, visit.identity.tenants
    run = site.reader.run(task.run)
    own = site.reader.spans(task.trace_id, task.task) if task.trace_id else []
    addresses = {
        (row.pointer.name, row.pointer.digest): f"/artifacts/{row.task}/{row.epoch}/{position}"
        for position, row in site.browser.made_by(task.task)
    }
    asked = site.reader.approval(task.task)
    below = [one for one in site.browser.lineage(task.run) if one.task != task.task]
    digests = {pointer.digest for pointer in task.outputs}
    return page(
        visit,
        "task.html",
        task=task,
        run=run,
        steps=steps(true_spans(own)[:_SPANS]),
        lines=lines_of(own),
        left_out=left_out(own),
        inputs=[p for p in task.inputs if tenants is None or published_to(p, tenants)],
        outputs=[
            Made(pointer, addresses.get((pointer.name, pointer.digest)))
            for pointer in task.outputs
            if tenants is None or published_to(pointer, tenants)
        ],
        readers=sorted(
            {(one.task, one.stage, one.partition) for one in below if one.digest in digests},
            key=lambda reader: reader[1:],
        )[:50],
        graph=site.reader.graph(task.run).stage(task.stage),
        asked=asked,
        cancel_refused=_why_not_cancelled(visit, task, run.tenant),
        retry_refused=_why_not_retried(visit, task, run.tenant),
        payload=pretty_payload(task) if payload is None else payload,
        edit=edit,
    )


def steps(spans: list[SpanRow]) -> list[Step]:
    """Spans as a tree, parents first; a span whose parent is not here stands at the top."""
    if not spans:
        return []
    known = {span.span_id: span for span in spans}
    first = min(span.start_ns for span in spans)
    whole = max(max(span.end_ns for span in spans) - first, 1)
    children: dict[str | None, list[SpanRow]] = {}
    for span in sorted(spans, key=lambda s: (s.start_ns, s.span_id), reverse=True):
        above = (
            span.parent_id if span.parent_id in known and span.parent_id != span.span_id else None
        )
        children.setdefault(above, []).append(span)
    found: list[Step] = []
    # Not by recursion: how deep a trace is, is for others to say.
    left = [(span, 0) for span in children.pop(None, [])]
    while left:
        span, depth = left.pop()
        x = min((span.start_ns - first) * 1000 // whole, 997)
        width = min(max((span.end_ns - span.start_ns) * 1000 // whole, 3), 1000 - x)
        found.append(Step(span, depth, x, width))
        left += [(child, depth + 1) for child in children.pop(span.span_id, [])]
    return found


def pretty_payload(task: TaskDetail) -> str:
    """The payload as it is edited: redacted JSON over several lines."""
    return json.dumps(redacted_json(task.payload), indent=2, ensure_ascii=False, sort_keys=True)


def _edit(task: TaskDetail, text: str) -> dict[str, object]:
    """How an edited payload differs, as the dispatcher is told it: top-level fields set or left
    out. Raises Unusable for what is no JSON object."""
    if not text.strip():
        return {}
    try:
        wanted = json.loads(text)
    except ValueError as cause:
        raise Unusable(f"the payload is no JSON: {cause}") from None
    if not isinstance(wanted, dict):
        raise Unusable("the payload must be one JSON object")
    # Beside what the page showed: what is redacted there and left alone stays what it was.
    shown = {name: redacted_json(value) for name, value in task.payload.items()}
    changed = {
        name: value for name, value in wanted.items() if name not in shown or shown[name] != value
    }
    return {"set": changed, "unset": [name for name in shown if name not in wanted]}


def _found(visit: Visit, task: str) -> TaskDetail:
    detail = visit.site.reader.task(visit.site.reader.find_task(task))
    if not visit.identity.reaches(visit.site.reader.run(detail.run).tenant):
        raise NotThere(f"there is no task {task}")
    return detail


def _why_not_cancelled(visit: Visit, task: TaskDetail, tenant: str) -> str | None:
    if task.state in FINAL:
        return f"The task has ended: it is {task.state}."
    return visit.refused(Action.RUN_CANCEL, tenant)


def _why_not_retried(visit: Visit, task: TaskDetail, tenant: str) -> str | None:
    if task.state not in REDRIVABLE:
        return f"Only a task that stands failed, dead, denied or parked: this one is {task.state}."
    return visit.refused(Action.TASK_RETRY, tenant)
