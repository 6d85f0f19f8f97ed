"""Starting runs, each once however often it is asked for.

Runs that are asked for together are started together, by statements over all of them. A run that
draws on an allowance is started by itself: what is left of one is counted from runs that are there.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select

from contracts.decision import Verdict
from contracts.plan import PlannedTask, RunGraph
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.advance import insert_tasks, queue_ready
from fleet.ledger.allowances import Counted, behind, reserve
from fleet.ledger.errors import IllegalRecord, LedgerError, OverAllowance
from fleet.ledger.held_runs import ask
from fleet.ledger.many import execute_many
from fleet.ledger.moves import CHUNK, IDS, an_event, append_events, chunks
from fleet.ledger.pauses import any_active
from fleet.ledger.promise import promise
from fleet.ledger.rows import NewRun, OutboxRow, Started
from fleet.ledger.runs import SaidFacts

_r = tables.run.c

_known = select(_r.run, _r.state, _r.submitted, _r.request_key).where(
    _r.tenant == bindparam("tenant"), _r.request_key.in_(bindparam("keys", expanding=True))
)

_add_run = insert(tables.run)


@dataclass(slots=True)
class _Start:
    """A run to be started, and what is worked out for it once."""

    new: NewRun
    graph: str = field(init=False)
    """As JSON."""
    planned: list[PlannedTask] = field(init=False)
    facts: SaidFacts = field(init=False)

    def __post_init__(self) -> None:
        new = self.new
        self.graph = new.graph.model_dump_json(exclude_defaults=True)
        self.planned = new.graph.initial_tasks(new.run) if new.admitted.allowed else []
        self.facts = SaidFacts(
            new.run,
            new.traceparent,
            request=new.request,
            graph=new.graph,
            text=self.graph,
            admitted=new.admitted,
            lane_limits=new.lane_limits,
        )

    @property
    def place(self) -> tuple[str, str]:
        """Tenant and key, of which there is one run."""
        return _place(self.new)

    @property
    def state(self) -> State:
        match self.new.admitted.verdict:
            case Verdict.ALLOW:
                return State.RUNNING if self.planned else State.SUCCEEDED
            case Verdict.HOLD:
                return State.HELD
            case _:
                return State.DENIED

    @property
    def alone(self) -> bool:
        return self.new.allowance is not None and self.new.admitted.allowed


def start_runs(connection: Connection, runs: Sequence[NewRun]) -> Sequence[Started | LedgerError]:
    """Record each run and promise its first tasks.

    Where databases let two transactions look at the same time, the unique key refuses the second;
    the writer then tries it alone, and it finds the first.
    """
    told: dict[tuple[str, str], Started | LedgerError] = {**_there(connection, runs)}
    refused = {new.run: refusal for new in runs if (refusal := _refusal(new.graph))}
    starts: dict[tuple[str, str], _Start] = {}
    for new in runs:
        if new.run not in refused and (place := _place(new)) not in told:
            starts.setdefault(place, _Start(new))
    for some in _together(list(starts.values())):
        counted = _reserved(connection, some[0]) if some[0].alone else {}
        if isinstance(counted, OverAllowance):
            told[some[0].place] = counted
        else:
            told |= _start(connection, some, counted)
    answers: list[Started | LedgerError] = []
    for new in runs:
        answer = refused.get(new.run) or told[_place(new)]
        answers.append(answer)
        if isinstance(answer, Started) and answer.created:
            # Another request in this batch with the same key finds what the first one started.
            told[_place(new)] = Started(
                run=answer.run, created=False, state=answer.state, submitted=answer.submitted
            )
    return answers


def _place(new: NewRun) -> tuple[str, str]:
    key = new.request.key
    return new.request.scope.tenant, new.run if key is None else key


def _there(connection: Connection, runs: Sequence[NewRun]) -> dict[tuple[str, str], Started]:
    """The runs that these requests' keys have started already."""
    keys: dict[str, list[str]] = {}
    for tenant, key in map(_place, runs):
        keys.setdefault(tenant, []).append(key)
    return {
        (tenant, row.request_key): Started(
            run=row.run, created=False, state=row.state, submitted=row.submitted
        )
        for tenant, of_tenant in keys.items()
        for some in chunks(of_tenant, IDS)
        for row in connection.execute(_known, {"tenant": tenant, "keys": some})
    }


def _refusal(graph: RunGraph) -> IllegalRecord | None:
    for stage in graph.stages:
        if stage.discovered_by is not None and graph.stage(stage.discovered_by).fans_out:
            return IllegalRecord(
                f"stage {stage.name!r} would fan out over what several tasks of"
                f" {stage.discovered_by!r} discover; the run was not started"
            )
    return None


def _together(starts: Sequence[_Start]) -> Iterator[list[_Start]]:
    """Runs in the order given, split so that all of their tasks can be queued at once (see
    `queue_ready`), and so that what is to be counted is alone."""
    some: list[_Start] = []
    tasks = 0
    for one in starts:
        if some and (one.alone or some[0].alone or tasks + len(one.planned) > CHUNK):
            yield some
            some, tasks = [], 0
        some.append(one)
        tasks += len(one.planned)
    if some:
        yield some


def _reserved(connection: Connection, one: _Start) -> Counted | OverAllowance:
    new, tenant = one.new, one.new.request.scope.tenant
    assert new.allowance is not None
    over = behind(connection, tenant)
    reserved = over or reserve(
        connection, tenant, new.allowance, tasks=len(one.planned), now=new.submitted
    )
    return OverAllowance(tenant, reserved) if isinstance(reserved, tuple) else reserved


def _start(
    connection: Connection, starts: Sequence[_Start], counted: Counted
) -> dict[tuple[str, str], Started]:
    execute_many(connection, _add_run, [_run_row(one, counted) for one in starts])
    append_events(connection, [_event(one) for one in starts])
    for one in starts:
        if one.state is State.HELD:
            ask(connection, one.new)
    outbox = _first_tasks(connection, [one for one in starts if one.planned])
    return {
        one.place: Started(
            run=one.new.run,
            created=True,
            state=one.state.value,
            submitted=one.new.submitted,
            outbox=tuple(outbox.get(one.new.run, ())),
        )
        for one in starts
    }


def _first_tasks(connection: Connection, starts: Sequence[_Start]) -> dict[str, list[OutboxRow]]:
    """Add the tasks of these runs and promise what waits for nothing. Gives the rows to relay, by
    run: all of a run's or none. There are none while anything is paused: the outbox knows what."""
    if not starts:
        return {}
    facts = {one.new.run: one.facts for one in starts}
    insert_tasks(
        connection,
        [(one.facts, plan, one.new.deadline) for one in starts for plan in one.planned],
        State.WAITING,
    )
    cause = {one.new.run: (one.new.request.requester, one.new.traceparent) for one in starts}
    now = max(one.new.submitted for one in starts)
    ready = queue_ready(connection, [*facts], cause, now, facts)
    outbox: dict[str, list[OutboxRow]] = {}
    for row in promise(connection, ready, facts, now):
        outbox.setdefault(row.run, []).append(row)
    if any_active(connection):
        return {}
    promised = Counter(one.run for one in ready)
    return {run: rows for run, rows in outbox.items() if len(rows) == promised[run]}


def _run_row(one: _Start, counted: Counted) -> dict[str, Any]:
    new, request = one.new, one.new.request
    tenant, key = one.place
    return {
        "run": new.run,
        "tenant": tenant,
        "request_key": key,
        "pipeline": request.pipeline,
        "requester": request.requester,
        "state": one.state.value,
        "cancel_requested": False,
        "tasks": len(one.planned),
        "open_tasks": len(one.planned),
        "submitted": new.submitted,
        "ended": new.submitted if one.state in FINAL else None,
        "deadline": new.deadline,
        "traceparent": new.traceparent,
        "request": request.model_dump_json(),
        "graph": one.graph,
        "admitted": new.admitted.text,
        "lane_limits": {
            lane: limits.model_dump(mode="json") for lane, limits in new.lane_limits.items()
        },
        **counted,
    }


def _event(one: _Start) -> dict[str, Any]:
    return an_event(
        at=one.new.submitted,
        run=one.new.run,
        task=None,
        actor=one.new.request.requester,
        old=None,
        new=one.state.value,
        detail="; ".join(reason.text for reason in one.new.admitted.reasons),
    )
