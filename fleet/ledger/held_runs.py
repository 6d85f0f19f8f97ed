"""Runs that are held at the admit gate: asked about, voted on, admitted, refused, expired.

A held run has no tasks. It is admitted, with its first tasks promised, once its tenant's allowance
has room for it, or once people have let it through; the dispatcher decides it again for that.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime
from sqlalchemy import Connection, bindparam, insert, select, update

from contracts.allowance import Allowance
from contracts.approval import NEEDED
from contracts.decision import Decision, Gate, Verdict
from contracts.fact import Fact
from contracts.plan import RunGraph
from contracts.request import RunRequest
from contracts.states import State
from fleet.ledger import tables, votes
from fleet.ledger.advance import add_tasks, hold, queue_ready
from fleet.ledger.allowances import count, reserve
from fleet.ledger.errors import LedgerError, OverAllowance, UnknownRow, VoteRefused
from fleet.ledger.moves import an_event, append_events
from fleet.ledger.promise import promise
from fleet.ledger.rows import NewRun
from fleet.ledger.runs import facts_of
from fleet.ledger.types import AnyRow
from fleet.ledger.votes import ApprovalRow, Vote, Voted

_p, _r = tables.run_approval.c, tables.run.c
_OVER = "over"
_EPOCH = 0
"""A run has no attempts."""


class HeldPlace(Fact):
    """A run that is held, and whether enough people have let it through."""

    run: str
    tenant: str
    let_through: bool


class HeldRun(Fact):
    """What it takes to decide a held run again."""

    place: HeldPlace
    request: RunRequest
    graph: RunGraph
    admitted: Decision
    approvers: tuple[str, ...]
    """Once enough have approved it; none before."""


class Admission(Fact):
    """A held run decided again. Only what is allowed starts, and only what is denied ends."""

    run: str
    admitted: Decision
    allowance: Allowance | None
    """Of its tenant; None where nothing limits it."""
    now: AwareDatetime


def ask(connection: Connection, new: NewRun) -> None:
    """Open the approval of a run that is held from its start."""
    if new.asks is not None:
        asked = {
            "run": new.run,
            "digest": new.asks.digest,
            "reasons": new.asks.reasons,
            "asked": new.submitted,
            "expires": min(new.asks.expires, new.deadline),
            "state": votes.OPEN,
        }
        connection.execute(insert(tables.run_approval), asked)


def held(connection: Connection, limit: int) -> list[HeldPlace]:
    """Held runs, the first `limit` of each tenant; by tenant, the oldest first."""
    tenants = connection.execute(
        select(_r.tenant).where(tables.WAITING_RUN).distinct().order_by(_r.tenant)
    ).scalars()
    query = (
        select(_r.run, _r.tenant, _p.state.label("approval"))
        .outerjoin(tables.run_approval, _p.run == _r.run)
        .where(tables.WAITING_RUN)
        .order_by(_r.submitted, _r.run)
        .limit(limit)
    )
    return [
        HeldPlace(run=row.run, tenant=row.tenant, let_through=row.approval == votes.APPROVED)
        for tenant in tenants.all()
        for row in connection.execute(query.where(_r.tenant == tenant))
    ]


def held_run(connection: Connection, place: HeldPlace) -> HeldRun | None:
    """What it takes to decide a held run again; None where it is held no more."""
    query = select(_r.request, _r.graph, _r.admitted).where(_r.run == place.run, tables.WAITING_RUN)
    if (row := connection.execute(query).first()) is None:
        return None
    by = votes.approved_by(connection, place.run, _EPOCH) if place.let_through else ()
    return HeldRun(
        place=place,
        request=RunRequest.model_validate_json(row.request),
        graph=RunGraph.model_validate_json(row.graph),
        admitted=Decision.model_validate_json(row.admitted),
        approvers=by,
    )


def waiting(connection: Connection, limit: int) -> list[ApprovalRow]:
    """Held runs that people are asked about; what expires first comes first."""
    rows = connection.execute(
        select(
            _r.run,
            _r.tenant,
            _r.pipeline,
            _r.requester,
            _p.digest,
            _p.reasons,
            _p.asked,
            _p.expires,
        )
        .join(tables.run, _r.run == _p.run)
        .where(tables.UNANSWERED_RUN, tables.WAITING_RUN)
        .order_by(_p.expires, _p.run)
        .limit(limit)
    )
    nothing = dict.fromkeys(("stage", "partition", "kind", "lane"), "")
    return [
        ApprovalRow(
            **row._asdict(),
            **nothing,
            gate=Gate.ADMIT,
            task=row.run,
            approved_by=votes.approved_by(connection, row.run, _EPOCH),
        )
        for row in rows
    ]


def vote(connection: Connection, asked: Vote) -> Voted | LedgerError:
    """What a vote on a run came to; `asked.task` is the run's id."""
    hold(connection, [asked.task])
    row = _asked(connection, asked.task)
    if row is None:
        return UnknownRow(f"there is no task {asked.task}; nothing was approved or refused")
    if (row.approval, row.state) != (votes.OPEN, State.HELD) or row.expires < asked.now:
        return VoteRefused(asked.task, "it does not wait for approval")
    who = votes.cast(connection, asked, digest=row.digest, requester=row.requester, epoch=_EPOCH)
    if isinstance(who, VoteRefused):
        return who
    by = votes.approved_by(connection, row.run, _EPOCH)
    state = State.HELD
    if not asked.approves:
        _close(connection, row.run, votes.REFUSED)
        _end(connection, row, who, detail=f"approval.refused: {asked.comment}", now=asked.now)
        state = State.DENIED
    else:
        if len(by) >= NEEDED:
            _close(connection, row.run, votes.APPROVED)
        said = f"approved by {len(by)} of {NEEDED}: {asked.comment}"
        _tell(connection, row.run, who, old=None, new=State.HELD, detail=said, now=asked.now)
    return Voted(task=row.run, run=row.run, state=state, approved_by=by)


_late = (
    select(_r.run, _r.state, _p.state.label("approval"))
    .join(tables.run_approval, _p.run == _r.run)
    .where(tables.WAITING_RUN, _p.expires < bindparam("now"))
    .order_by(_p.expires, _p.run)
    .limit(bindparam("limit"))
)


def expire(connection: Connection, now: datetime, limit: int) -> int:
    """Deny the held runs for which there was neither room nor an answer in time. How many."""
    rows = connection.execute(_late, {"now": now, "limit": limit}).all()
    hold(connection, [row.run for row in rows])
    for row in rows:
        _close(connection, row.run, votes.EXPIRED)
        said = "approval.expired: neither room nor an answer in time"
        _end(connection, row, "sweeper", detail=said, now=now)
    return len(rows)


def admit(connection: Connection, asked: Sequence[Admission]) -> Sequence[State | LedgerError]:
    """The state of each run afterwards. OverAllowance where there is no room yet."""
    return [_admit(connection, one) for one in asked]


def _admit(connection: Connection, asked: Admission) -> State | LedgerError:
    hold(connection, [asked.run])
    row = _asked(connection, asked.run)
    if row is None:
        return UnknownRow(f"there is no held run {asked.run}; nothing was admitted")
    if row.state != State.HELD or asked.admitted.verdict is Verdict.HOLD:
        return State(row.state)
    by = "dispatcher"
    admitted = asked.admitted.model_dump_json()
    if not asked.admitted.allowed:
        _close(connection, row.run, _OVER)
        said = "; ".join(reason.text for reason in asked.admitted.reasons)
        _end(connection, row, by, detail=said, now=asked.now, admitted=admitted)
        return State.DENIED
    planned = RunGraph.model_validate_json(row.graph).initial_tasks(row.run)
    counted = {}
    if asked.allowance is not None:
        let_through = row.approval == votes.APPROVED
        how = count if let_through else reserve
        reserved = how(connection, row.tenant, asked.allowance, tasks=len(planned), now=asked.now)
        if isinstance(reserved, tuple):
            return OverAllowance(row.tenant, reserved)
        counted = reserved
    if row.approval == votes.OPEN:
        _close(connection, row.run, _OVER)
    state = State.RUNNING if planned else State.SUCCEEDED
    connection.execute(
        update(tables.run)
        .where(_r.run == row.run)
        .values(
            state=state.value,
            admitted=admitted,
            tasks=len(planned),
            open_tasks=len(planned),
            ended=None if planned else asked.now,
            **counted,
        )
    )
    said = "; ".join(reason.text for reason in asked.admitted.reasons)
    _tell(connection, row.run, by, old=State.HELD, new=state, detail=said, now=asked.now)
    facts = facts_of(connection, [row.run])
    add_tasks(connection, facts[row.run], planned, state=State.WAITING, deadline=row.deadline)
    ready = queue_ready(connection, [row.run], {row.run: (by, row.traceparent)}, asked.now)
    promise(connection, ready, facts, asked.now)
    return state


def _asked(connection: Connection, run: str) -> AnyRow | None:
    return connection.execute(
        select(
            _r.run,
            _r.tenant,
            _r.requester,
            _r.state,
            _r.graph,
            _r.deadline,
            _r.traceparent,
            _p.digest,
            _p.expires,
            _p.state.label("approval"),
        )
        .join(tables.run_approval, _p.run == _r.run)
        .where(_r.run == run)
    ).first()


def _close(connection: Connection, run: str, state: str) -> None:
    connection.execute(update(tables.run_approval).where(_p.run == run).values(state=state))


def _end(
    connection: Connection,
    row: AnyRow,
    who: str,
    *,
    detail: str,
    now: datetime,
    admitted: str | None = None,
) -> None:
    values = {"state": State.DENIED.value, "failing": State.DENIED.value, "ended": now}
    if admitted is not None:
        values["admitted"] = admitted
    connection.execute(update(tables.run).where(_r.run == row.run).values(**values))
    _tell(connection, row.run, who, old=State.HELD, new=State.DENIED, detail=detail, now=now)


def _tell(
    connection: Connection,
    run: str,
    who: str,
    *,
    old: State | None,
    new: State,
    detail: str,
    now: datetime,
) -> None:
    event = an_event(
        at=now,
        run=run,
        task=None,
        actor=who,
        old=None if old is None else old.value,
        new=new.value,
        detail=detail,
    )
    append_events(connection, [event])
