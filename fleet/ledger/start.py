"""Starting runs, each once however often it is asked for."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, bindparam, insert, select

from contracts.decision import Verdict
from contracts.plan import PlannedTask, RunGraph
from contracts.request import RunAccepted
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.advance import add_tasks, queue_ready
from fleet.ledger.allowances import Counted, behind, reserve
from fleet.ledger.errors import IllegalRecord, LedgerError, OverAllowance
from fleet.ledger.held_runs import ask
from fleet.ledger.moves import an_event, append_events
from fleet.ledger.promise import promise
from fleet.ledger.rows import NewRun
from fleet.ledger.runs import SaidFacts

_r = tables.run.c

_known = select(_r.run, _r.state, _r.submitted).where(
    and_(_r.tenant == bindparam("tenant"), _r.request_key == bindparam("key"))
)

_add_run = insert(tables.run)


def start_runs(
    connection: Connection, runs: Sequence[NewRun]
) -> Sequence[RunAccepted | LedgerError]:
    """Record each run and promise its first tasks.

    Where databases let two transactions look at the same time, the unique key refuses the second;
    the writer then tries it alone, and it finds the first.
    """
    return [_refusal(new.graph) or _start(connection, new) for new in runs]


def _refusal(graph: RunGraph) -> IllegalRecord | None:
    for stage in graph.stages:
        if stage.discovered_by is not None and graph.stage(stage.discovered_by).fans_out:
            return IllegalRecord(
                f"stage {stage.name!r} would fan out over what several tasks of"
                f" {stage.discovered_by!r} discover; the run was not started"
            )
    return None


def _start(connection: Connection, new: NewRun) -> RunAccepted | LedgerError:
    request = new.request
    key = new.run if request.key is None else request.key
    tenant = request.scope.tenant
    if there := connection.execute(_known, {"tenant": tenant, "key": key}).first():
        return RunAccepted(
            run=there.run, created=False, state=there.state, submitted=there.submitted
        )
    planned = new.graph.initial_tasks(new.run) if new.admitted.allowed else []
    state = _state(new, planned)
    counted: Counted = {}
    if new.allowance is not None and new.admitted.allowed:
        over = behind(connection, tenant)
        reserved = over or reserve(
            connection, tenant, new.allowance, tasks=len(planned), now=new.submitted
        )
        if isinstance(reserved, tuple):
            return OverAllowance(tenant, reserved)
        counted = reserved
    connection.execute(
        _add_run,
        {
            "run": new.run,
            "tenant": tenant,
            "request_key": key,
            "pipeline": request.pipeline,
            "requester": request.requester,
            "state": state.value,
            "cancel_requested": False,
            "tasks": len(planned),
            "open_tasks": len(planned),
            "submitted": new.submitted,
            "ended": new.submitted if state in FINAL else None,
            "deadline": new.deadline,
            "traceparent": new.traceparent,
            "request": request.model_dump_json(),
            "graph": new.graph.model_dump_json(exclude_defaults=True),
            "admitted": new.admitted.model_dump_json(),
            "lane_limits": {
                lane: limits.model_dump(mode="json") for lane, limits in new.lane_limits.items()
            },
            **counted,
        },
    )
    append_events(
        connection,
        [
            an_event(
                at=new.submitted,
                run=new.run,
                task=None,
                actor=request.requester,
                old=None,
                new=state.value,
                detail="; ".join(reason.text for reason in new.admitted.reasons),
            )
        ],
    )
    if state is State.HELD:
        ask(connection, new)
    if planned:
        facts = SaidFacts(
            new.run,
            new.traceparent,
            request=request,
            graph=new.graph,
            admitted=new.admitted,
            lane_limits=new.lane_limits,
        )
        add_tasks(connection, facts, planned, state=State.WAITING, deadline=new.deadline)
        cause = {new.run: (request.requester, new.traceparent)}
        known = {new.run: facts}
        ready = queue_ready(connection, [new.run], cause, new.submitted, known)
        promise(connection, ready, known, new.submitted)
    return RunAccepted(run=new.run, created=True, state=state.value, submitted=new.submitted)


def _state(new: NewRun, planned: Sequence[PlannedTask]) -> State:
    match new.admitted.verdict:
        case Verdict.ALLOW:
            return State.RUNNING if planned else State.SUCCEEDED
        case Verdict.HOLD:
            return State.HELD
        case _:
            return State.DENIED
