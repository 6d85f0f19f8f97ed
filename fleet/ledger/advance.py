"""What follows for a run when some of its tasks close: fan-out, fan-in, failing, closing.

`contracts.plan` says what follows; this applies it, for the tasks of many runs together. A fan-in
is a counter on the waiting task, so that a completion costs the same however wide it is.

The caller holds the run rows (`hold`), so that no two processes advance one run at the same time:
each would miss the other's decrement.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from contracts.ids import task_id
from contracts.plan import PlannedTask, StagePlan
from contracts.states import FINAL, State
from fleet.ledger import tables
from fleet.ledger.allowances import settle
from fleet.ledger.errors import IllegalRecord
from fleet.ledger.many import execute_many
from fleet.ledger.moves import CHUNK, IDS, an_event, append_events, cancel_tasks, chunks
from fleet.ledger.promise import PROMISED, USUAL, Promise, a_promise, rank_of
from fleet.ledger.runs import RunFacts, facts_of
from fleet.ledger.types import AnyRow, as_json

_t = tables.task.c

_hold = (
    update(tables.run)
    .where(tables.run.c.run.in_(bindparam("runs", expanding=True)))
    .values(open_tasks=tables.run.c.open_tasks)
)

STANDING = (
    tables.run.c.state.label("run_state"),
    tables.run.c.failing,
    tables.run.c.cancel_requested.label("run_cancelled"),
    tables.run.c.tasks,
    tables.run.c.open_tasks,
    tables.run.c.deadline.label("run_deadline"),
    tables.run.c.counted_day,
)
"""The columns of a run that `advance` goes by; whoever holds the runs may read them for it."""

_runs = select(tables.run.c.run, *STANDING).where(
    tables.run.c.run.in_(bindparam("runs", expanding=True))
)

_write_run = (
    update(tables.run)
    .where(tables.run.c.run == bindparam("b_run"))
    .values(
        state=bindparam("b_state"),
        failing=bindparam("b_failing"),
        tasks=bindparam("b_tasks"),
        open_tasks=bindparam("b_open_tasks"),
        ended=bindparam("b_ended"),
    )
)

# The counters count on while a task is cancelled: a redrive of its parent may open it again.
_count_down_task = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"))
    .values(pending=_t.pending - bindparam("b_by"))
)

_count_down_stage = (
    update(tables.task)
    .where(_t.run == bindparam("b_run"), _t.stage == bindparam("b_stage"))
    .values(pending=_t.pending - bindparam("b_by"))
)

_unfinished = (
    select(_t.stage, func.count().label("tasks"))
    .where(_t.run == bindparam("run"), _t.state != State.SUCCEEDED.value)
    .group_by(_t.stage)
)

_add_tasks = insert(tables.task)

_ready = (
    select(*PROMISED)
    .where(_t.run.in_(bindparam("runs", expanding=True)), tables.READY)
    .order_by(_t.run, _t.stage, _t.partition)
    .limit(CHUNK)
)

_queue = (
    update(tables.task)
    .where(_t.task == bindparam("b_task"))
    .values(state=State.QUEUED.value, was=State.WAITING.value, queued=bindparam("b_now"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A task that has just closed; its row says so already."""

    task: str
    run: str
    stage: str
    partition: str
    state: State
    actor: str
    partitions: tuple[str, ...] | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class _Standing:
    """A run's row while it is being advanced."""

    facts: RunFacts
    state: State
    failing: State | None
    cancelled: bool
    tasks: int
    open_tasks: int
    deadline: datetime
    counted: bool
    closed: list[Closed] = field(default_factory=list)

    @property
    def starts_nothing(self) -> bool:
        return self.failing is not None or self.cancelled

    @property
    def may_go_on(self) -> bool:
        """Whether a task of it may wait for nothing more."""
        return self.open_tasks > 0 and not self.starts_nothing


def hold(connection: Connection, runs: Iterable[str]) -> None:
    """Keep other processes from advancing these runs until this transaction ends."""
    if connection.dialect.name == "sqlite":
        return  # a transaction that writes is alone there from its beginning
    for some in chunks(sorted(set(runs)), IDS):
        connection.execute(_hold, {"runs": some})


def advance(
    connection: Connection,
    closed: Sequence[Closed],
    runs: Iterable[str],
    now: datetime,
    *,
    read: Mapping[str, AnyRow] | None = None,
    events: list[dict[str, Any]] | None = None,
) -> tuple[list[Promise], dict[str, State]]:
    """Apply what follows from `closed` for the held `runs` (which may be more than theirs).

    `read`: for each run a row with STANDING, read since it is held. `events`: where to leave what
    is to be appended; else it is appended here.

    Gives the promises to make, and the state of each run. Raises IllegalRecord when a stage fans
    out over discoveries that were not given; the transaction must then be undone.
    """
    standings = _standings(connection, runs, read)
    told: list[dict[str, Any]] = [] if events is None else events
    for one in closed:
        standings[one.run].closed.append(one)
    _count_down(connection, standings)
    for standing in standings.values():
        if standing.closed:
            _settle_failing(standing)
            _fan_out(connection, standing)
            _cancel_waiting(connection, standing, now)
            standing.open_tasks -= len(standing.closed)
    promises = queue_ready(
        connection,
        [run for run, standing in standings.items() if standing.may_go_on],
        {
            run: (one.actor, one.traceparent)
            for run, standing in standings.items()
            for one in standing.closed
        },
        now,
        events=told,
    )
    _close_runs(connection, [s for s in standings.values() if s.closed], now, told)
    if events is None:
        append_events(connection, told)
    return promises, {run: standing.state for run, standing in standings.items()}


def queue_ready(
    connection: Connection,
    runs: Sequence[str],
    causes: dict[str, tuple[str, str | None]],
    now: datetime,
    facts: Mapping[str, RunFacts] | None = None,
    *,
    events: list[dict[str, Any]] | None = None,
) -> list[Promise]:
    """Queue tasks of `runs` that wait for nothing more. `causes`: actor and traceparent by run.
    `facts`: of the runs, where the caller has them. `events`: as of `advance`.

    At most CHUNK of them, so that one run's wide fan-out does not keep every other run's renewals
    waiting; the run's next completion or the next sweep goes on with the rest.
    """
    rows = [
        row for some in chunks(runs, IDS) for row in connection.execute(_ready, {"runs": some})
    ][:CHUNK]
    if not rows:
        return []
    facts = facts or facts_of(connection, [row.run for row in rows])
    later = {run: at for run, one in facts.items() if (at := one.start_at) and at > now}
    execute_many(
        connection, _queue, [{"b_task": row.task, "b_now": later.get(row.run, now)} for row in rows]
    )
    queued = [
        an_event(
            at=now,
            run=row.run,
            task=row.task,
            actor=causes[row.run][0],
            old=State.WAITING.value,
            new=State.QUEUED.value,
            detail=f"attempt {row.attempt}"
            + (f" not before {later[row.run].isoformat()}" if row.run in later else ""),
        )
        for row in rows
    ]
    if events is None:
        append_events(connection, queued)
    else:
        events += queued
    return [
        a_promise(row, not_before=later.get(row.run), traceparent=causes[row.run][1])
        for row in rows
    ]


def add_tasks(
    connection: Connection,
    facts: RunFacts,
    planned: Sequence[PlannedTask],
    *,
    state: State,
    deadline: datetime,
) -> None:
    """Insert tasks that wait, or that are cancelled at once in a run that starts nothing more."""
    insert_tasks(connection, [(facts, plan, deadline) for plan in planned], state)


def insert_tasks(
    connection: Connection, planned: Sequence[tuple[RunFacts, PlannedTask, datetime]], state: State
) -> None:
    """As `add_tasks`, for tasks of many runs, each with its run's deadline."""
    for some in chunks(planned):
        execute_many(connection, _add_tasks, [_new_task(*each, state) for each in some])


def _new_task(
    facts: RunFacts, plan: PlannedTask, deadline: datetime, state: State
) -> dict[str, Any]:
    rank = rank_of(facts)
    return {
        "task": plan.task,
        "run": facts.run,
        "stage": plan.stage,
        "partition": plan.partition,
        "kind": plan.kind,
        "version": plan.version,
        "lane": plan.lane,
        "payload": as_json(plan.payload),
        "state": state.value,
        "pending": plan.pending,
        "attempt": 1,
        "max_attempts": facts.max_attempts(plan.lane),
        "epoch": 0,
        "deadline": deadline,
        "ahead": rank if rank < USUAL else None,
    }


def _standings(
    connection: Connection, runs: Iterable[str], read: Mapping[str, AnyRow] | None
) -> dict[str, _Standing]:
    wanted = sorted(set(runs))
    facts = facts_of(connection, wanted)
    if read is None:
        read = {
            row.run: row
            for some in chunks(wanted, IDS)
            for row in connection.execute(_runs, {"runs": some})
        }
    return {
        run: _Standing(
            facts=facts[run],
            state=State(row.run_state),
            failing=None if row.failing is None else State(row.failing),
            cancelled=row.run_cancelled,
            tasks=row.tasks,
            open_tasks=row.open_tasks,
            deadline=row.run_deadline,
            counted=row.counted_day is not None,
        )
        for run, row in read.items()
    }


def _count_down(connection: Connection, standings: dict[str, _Standing]) -> None:
    """One parent less for the children of what succeeded: one statement a kind of child."""
    tasks: Counter[str] = Counter()
    stages: Counter[tuple[str, str]] = Counter()
    for run, standing in standings.items():
        for one in standing.closed:
            if one.state is not State.SUCCEEDED:
                continue
            for child in standing.facts.kin[one.stage].children:
                if child.aligned:
                    tasks[task_id(run, child.stage.name, one.partition)] += 1
                elif not child.stage.fans_out:
                    tasks[task_id(run, child.stage.name)] += 1
                else:
                    stages[run, child.stage.name] += 1
    if tasks:
        execute_many(
            connection,
            _count_down_task,
            [{"b_task": task, "b_by": by} for task, by in tasks.items()],
        )
    if stages:
        execute_many(
            connection,
            _count_down_stage,
            [{"b_run": run, "b_stage": stage, "b_by": by} for (run, stage), by in stages.items()],
        )


def _settle_failing(standing: _Standing) -> None:
    """What the run will close as, by the first of its tasks that did not succeed."""
    for one in standing.closed:
        if standing.failing is None and one.state is not State.SUCCEEDED:
            standing.failing = State.FAILED if one.state is State.DEAD else one.state


def _fan_out(connection: Connection, standing: _Standing) -> None:
    """Add the tasks of the stages that were discovered, parents before children."""
    facts = standing.facts
    discovered = {
        one.stage: one.partitions
        for one in standing.closed
        if one.state is State.SUCCEEDED and facts.kin[one.stage].discoveries
    }
    if not discovered:
        return
    unfinished = {
        row.stage: row.tasks for row in connection.execute(_unfinished, {"run": facts.run})
    }
    # A stage that is yet to be discovered stands for one parent, see RunGraph.initial_tasks.
    for stage in facts.graph.stages:
        if stage.discovered_by in discovered or stage.discovered_by in unfinished:
            unfinished[stage.name] = 1
    state = State.CANCELLED if standing.starts_nothing else State.WAITING
    for discoverer, partitions in discovered.items():
        if partitions is None:
            raise IllegalRecord(
                f"stages fan out over {discoverer!r}, and it named no partitions, not even none;"
                " nothing was written"
            )
        if len(set(partitions)) < len(partitions):
            raise IllegalRecord(
                f"{discoverer!r} named a partition more than once; nothing was written"
            )
        for stage in facts.kin[discoverer].discoveries:
            _expand(
                connection,
                standing,
                stage,
                partitions=partitions,
                unfinished=unfinished,
                state=state,
            )


def _expand(
    connection: Connection,
    standing: _Standing,
    stage: StagePlan,
    *,
    partitions: tuple[str, ...],
    unfinished: dict[str, int],
    state: State,
) -> None:
    graph, run = standing.facts.graph, standing.facts.run
    # In portions: the tasks of a wide fan-out are never all in memory.
    for some in chunks(partitions):
        planned = graph.tasks_of(run, stage, some, unfinished)
        add_tasks(connection, standing.facts, planned, state=state, deadline=standing.deadline)
    unfinished[stage.name] = len(partitions)
    changes = [
        {"b_run": run, "b_stage": child, "b_by": -by}
        for child, by in graph.widened(stage.name, len(partitions)).items()
        if by
    ]
    if changes:
        execute_many(connection, _count_down_stage, changes)
    standing.tasks += len(partitions)
    if state is State.WAITING:
        standing.open_tasks += len(partitions)


def _cancel_waiting(connection: Connection, standing: _Standing, now: datetime) -> None:
    """Once something has failed, what waits would wait for ever."""
    failed = next((one for one in standing.closed if one.state is not State.SUCCEEDED), None)
    if failed is None:
        return
    place = failed.stage + (f"/{failed.partition}" if failed.partition else "")
    standing.open_tasks -= cancel_tasks(
        connection,
        run=standing.facts.run,
        states=(State.WAITING,),
        now=now,
        actor=failed.actor,
        detail=f"upstream {place}: {failed.state}",
    )


def _close_runs(
    connection: Connection,
    standings: Sequence[_Standing],
    now: datetime,
    events: list[dict[str, Any]],
) -> None:
    for standing in standings:
        if standing.open_tasks == 0 and standing.state not in FINAL:
            new = standing.failing or State.SUCCEEDED
            events.append(
                an_event(
                    at=now,
                    run=standing.facts.run,
                    task=None,
                    actor=standing.closed[-1].actor,
                    old=standing.state.value,
                    new=new.value,
                )
            )
            standing.state = new
    if standings:
        execute_many(
            connection,
            _write_run,
            [
                {
                    "b_run": standing.facts.run,
                    "b_state": standing.state.value,
                    "b_failing": standing.failing,
                    "b_tasks": standing.tasks,
                    "b_open_tasks": standing.open_tasks,
                    "b_ended": now if standing.state in FINAL else None,
                }
                for standing in standings
            ],
        )
    if ended := [s.facts.run for s in standings if s.counted and s.state in FINAL]:
        settle(connection, ended)
