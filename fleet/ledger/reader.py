"""The read side: what the console, the intake and `verify` look at. Writes nothing.

Lists have a total order and a bound. A reader may be used from several threads; each method reads
one moment of the ledger.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, and_, func, or_, select

from contracts.artifact import ArtifactPointer
from contracts.decision import Decision
from contracts.plan import RunGraph
from contracts.request import RunRequest
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.approvals import waiting
from fleet.ledger.archive import archives
from fleet.ledger.audit import Act, acts
from fleet.ledger.database import open_reading_engine, sqlite_file
from fleet.ledger.dead_groups import dead_groups, preview
from fleet.ledger.decided import DecidedRow, of_run, recorded
from fleet.ledger.errors import LedgerMissing, UnknownRow
from fleet.ledger.paging import Page
from fleet.ledger.pauses import audit, pauses
from fleet.ledger.put_off import by_lane, slots_in_use
from fleet.ledger.redrive_jobs import a_job
from fleet.ledger.rows import (
    ArchiveRow,
    ArtifactRow,
    AuditRow,
    DeadGroup,
    DeadRow,
    EventRow,
    LaneRow,
    PauseRow,
    RedriveItem,
    RedriveJob,
    RedrivePreview,
    RunDetail,
    RunRow,
    Selection,
    SlotRow,
    SpanRow,
    TaskDetail,
    TaskRow,
    WorkerRow,
)
from fleet.ledger.schedules import (
    FireRow,
    ScheduleRow,
    every_schedule,
    fires_of,
    one_schedule,
)
from fleet.ledger.spans import unfolded
from fleet.ledger.tenants import TenantRow, tenants
from fleet.ledger.views import (
    an_attempt,
    an_event,
    dead_messages,
    dead_tasks,
    decisions,
    in_state_order,
    pointers,
    run_fields,
    stages_of,
    task_fields,
    trace_id,
)
from fleet.ledger.votes import ApprovalRow

_r, _t, _a = tables.run.c, tables.task.c, tables.attempt.c
_j, _i = tables.redrive_job.c, tables.redrive_item.c
_e, _o, _d = tables.event.c, tables.output.c, tables.dead_letter.c

_LOOK_AT = (State.FAILED.value, State.DEAD.value, State.DENIED.value)


class LedgerReader:
    """Reads one ledger. Raises LedgerMissing when a SQLite ledger's file is not there yet."""

    def __init__(self, url: str) -> None:
        file = sqlite_file(url)
        if file is not None and not file.is_file():
            raise LedgerMissing("there is no ledger here yet: start the fleet once")
        self._engine = open_reading_engine(url)

    def close(self) -> None:
        """Let the connections go. Twice is harmless."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- runs -------------------------------------------------------------------------------------

    def runs(
        self,
        limit: int = 50,
        state: State | None = None,
        pipeline: str | None = None,
        tenant: str | None = None,
        tenants: Sequence[str] | None = None,
    ) -> list[RunRow]:
        """The newest runs first. `tenants`: only runs of these, whatever else is asked for."""
        wanted = [
            column == value
            for column, value in ((_r.state, state), (_r.pipeline, pipeline), (_r.tenant, tenant))
            if value is not None
        ]
        if tenants is not None:
            wanted.append(_r.tenant.in_(tenants))
        query = (
            select(tables.run)
            .where(*wanted)
            .order_by(_r.submitted.desc(), _r.run.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [RunRow(**run_fields(row)) for row in connection.execute(query)]

    def run(self, run: str) -> RunDetail:
        """One run with its stages in graph order. Raises UnknownRow."""
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.run).where(_r.run == run)).first()
            if row is None:
                raise UnknownRow(f"there is no run {run}")
            return RunDetail(
                **run_fields(row),
                request=RunRequest.model_validate_json(row.request),
                admitted=Decision.model_validate_json(row.admitted),
                trace_id=trace_id(row.traceparent),
                cancel_requested=row.cancel_requested,
                stages=stages_of(connection, run, RunGraph.model_validate_json(row.graph)),
            )

    def graph(self, run: str) -> RunGraph:
        """The run's graph, as it was planned. Raises UnknownRow."""
        with self._engine.connect() as connection:
            text = connection.execute(select(_r.graph).where(_r.run == run)).scalar()
        if text is None:
            raise UnknownRow(f"there is no run {run}")
        return RunGraph.model_validate_json(text)

    def find_run(self, prefix: str) -> str:
        """The id of the one run whose id starts so. Raises UnknownRow."""
        return self._find("run", _r.run, prefix)

    # --- tasks ------------------------------------------------------------------------------------

    def tasks(self, run: str) -> list[TaskRow]:
        """A run's tasks: stages by name, partitions within them."""
        query = select(tables.task).where(_t.run == run).order_by(_t.stage, _t.partition)
        with self._engine.connect() as connection:
            return [TaskRow(**task_fields(row)) for row in connection.execute(query)]

    def task(self, task: str) -> TaskDetail:
        """One task in full. Raises UnknownRow."""
        with self._engine.connect() as connection:
            query = select(tables.task, _r.traceparent).join(tables.run, _r.run == _t.run)
            row = connection.execute(query.where(_t.task == task)).first()
            if row is None:
                raise UnknownRow(f"there is no task {task}")
            attempts = tuple(
                an_attempt(one)
                for one in connection.execute(
                    select(tables.attempt).where(_a.task == task).order_by(_a.epoch)
                )
            )
            facts: dict[str, Any] = next((one.facts for one in reversed(attempts) if one.facts), {})
            traces = (one.trace_id for one in reversed(attempts) if one.trace_id)
            return TaskDetail(
                **task_fields(row),
                payload=json.loads(row.payload),
                history=tuple(
                    an_event(one)
                    for one in connection.execute(
                        select(tables.event).where(_e.task == task).order_by(_e.seq)
                    )
                ),
                attempts=attempts,
                decisions=decisions(connection, task),
                inputs=pointers(connection, tables.input_, task),
                outputs=pointers(connection, tables.output, task),
                facts=facts,
                trace_id=next(traces, trace_id(row.traceparent)),
            )

    def decisions(self, limit: int = 10_000) -> list[tuple[str, Decision]]:
        """The latest recorded decisions, those of runs before those of tasks, each with its place:
        `run <id>` or `task <id>`."""
        with self._engine.connect() as connection:
            return list(recorded(connection, limit))

    def run_decisions(self, run: str) -> list[DecidedRow]:
        """Every decision of a run and its tasks."""
        with self._engine.connect() as connection:
            return list(of_run(connection, run))

    def approvals(self, limit: int = 100) -> list[ApprovalRow]:
        """Held tasks and runs that wait for people; what expires first comes first."""
        with self._engine.connect() as connection:
            return waiting(connection, limit)

    def find_held(self, prefix: str) -> str:
        """The id of the one task, or else the one run, whose id starts so. Raises UnknownRow."""
        try:
            return self.find_task(prefix)
        except UnknownRow as nothing:
            try:
                return self.find_run(prefix)
            except UnknownRow:
                raise nothing from None

    def tenants(self, now: datetime) -> list[TenantRow]:
        """What tenants with an allowance use of it, by name."""
        with self._engine.connect() as connection:
            return tenants(connection, now)

    def approval(self, task: str) -> ApprovalRow | None:
        """What a task, or a held run, waits for people for; None where it does not."""
        return next((row for row in self.approvals(1000) if row.task == task), None)

    def acts(
        self, cursor: str | None = None, limit: int = 50, *, submissions: bool = True
    ) -> Page[Act]:
        """What people did, the latest first. Raises UnknownRow for a cursor that is none."""
        with self._engine.connect() as connection:
            return acts(connection, cursor, limit, submissions=submissions)

    def find_task(self, prefix: str) -> str:
        """The id of the one task whose id starts so. Raises UnknownRow."""
        return self._find("task", _t.task, prefix)

    def history(self, run: str) -> list[EventRow]:
        """Every move of a run and its tasks, in the order they were made."""
        own = and_(_e.run == run, tables.OF_RUN)
        tasks = _e.task.in_(select(_t.task).where(_t.run == run))
        query = select(tables.event).where(or_(own, tasks)).order_by(_e.seq)
        with self._engine.connect() as connection:
            return [an_event(row) for row in connection.execute(query)]

    # --- artifacts --------------------------------------------------------------------------------

    def artifacts(self, run: str) -> list[ArtifactRow]:
        """What the run's tasks made, evidence of failed attempts included; by place, then name."""
        query = (
            select(_o.task, _o.stage, _o.partition, _o.epoch, _o.recorded, _o.pointer)
            .where(_o.run == run)
            .order_by(_o.stage, _o.partition, _o.epoch, _o.name, _o.position)
        )
        with self._engine.connect() as connection:
            return [
                ArtifactRow(
                    task=row.task,
                    stage=row.stage,
                    partition=row.partition,
                    epoch=row.epoch,
                    recorded=row.recorded,
                    pointer=ArtifactPointer.model_validate_json(row.pointer),
                )
                for row in connection.execute(query)
            ]

    # --- the fleet --------------------------------------------------------------------------------

    def lanes(self) -> list[LaneRow]:
        """The lanes that have open tasks, by name. What waits for its parents is not counted."""
        query = (
            select(
                _t.lane,
                _t.state,
                func.count().label("tasks"),
                func.min(_t.queued).label("oldest"),
            )
            .where(tables.OPEN)
            .group_by(_t.lane, _t.state)
        )
        states: defaultdict[str, dict[State, int]] = defaultdict(dict)
        oldest: dict[str, Any] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                states[row.lane][State(row.state)] = row.tasks
                if row.state == State.QUEUED:
                    oldest[row.lane] = row.oldest
            paused = {one.name: one for one in pauses(connection) if one.what == "lane"}
            waiting = by_lane(connection)
        return [
            LaneRow(
                lane=lane,
                states=in_state_order(states[lane]),
                oldest_queued=oldest.get(lane),
                paused=paused.get(lane),
                put_off=waiting.get(lane, 0),
            )
            for lane in sorted({*states, *paused})
        ]

    def pauses(self) -> list[PauseRow]:
        """Lanes and pipelines that are paused, the latest first."""
        with self._engine.connect() as connection:
            return pauses(connection)

    def audit(self, what: str, name: str | None = None, limit: int = 50) -> list[AuditRow]:
        """What operators did to lanes, pipelines or schedules, the latest first."""
        with self._engine.connect() as connection:
            return audit(connection, what, name, limit)

    def schedules(self) -> list[ScheduleRow]:
        """All schedules, by name."""
        with self._engine.connect() as connection:
            return every_schedule(connection)

    def schedule(self, name: str) -> ScheduleRow:
        """One schedule. Raises UnknownRow."""
        with self._engine.connect() as connection:
            return one_schedule(connection, name)

    def fires(self, name: str, limit: int = 50) -> list[FireRow]:
        """What became of a schedule's times, the latest first."""
        with self._engine.connect() as connection:
            return fires_of(connection, name, limit)

    def slots(self, limit: int = 100) -> list[SlotRow]:
        """The keys under which slots are held or waited for; the most waited for first."""
        with self._engine.connect() as connection:
            return slots_in_use(connection, limit)

    def dead_letters(self, limit: int = 100) -> list[DeadRow]:
        """Tasks that ended badly, tasks that are parked, messages not taken; the newest first."""
        with self._engine.connect() as connection:
            rows = [
                *dead_tasks(connection, _t.state.in_(_LOOK_AT), _t.ended, limit),
                *dead_tasks(
                    connection,
                    and_(tables.OPEN, _t.state == State.PARKED.value),
                    _a.ended,
                    limit,
                ),
                *dead_messages(connection, limit),
            ]
        return sorted(rows, key=lambda row: (row.at, row.id), reverse=True)[:limit]

    def dead_groups(
        self, now: datetime, limit: int = 100, group: str | None = None
    ) -> list[DeadGroup]:
        """Dead letters by cause, the largest groups first; or those of one fingerprint. Those of
        cancelled runs are left out."""
        with self._engine.connect() as connection:
            return dead_groups(connection, now, limit, group)

    def preview(self, selection: Selection) -> RedrivePreview:
        """What a redrive of `selection` would choose now, by cause."""
        with self._engine.connect() as connection:
            return preview(connection, selection)

    def redrive(self, job: str) -> RedriveJob:
        """One redrive of many, as it stands. Raises UnknownRow."""
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.redrive_job).where(_j.job == job)).first()
        if row is None:
            raise UnknownRow(f"there is no redrive {job}")
        return a_job(row)

    def archives(self, limit: int = 1000) -> list[ArchiveRow]:
        """What was archived, the latest first."""
        return archives(self._engine, limit)

    def redrives(self, limit: int = 50) -> list[RedriveJob]:
        """The newest redrives first."""
        query = select(tables.redrive_job).order_by(_j.asked.desc(), _j.job.desc()).limit(limit)
        with self._engine.connect() as connection:
            return [a_job(row) for row in connection.execute(query)]

    def redrive_items(self, job: str, start: int = 0, limit: int = 1000) -> list[RedriveItem]:
        """The items of a redrive in their order, from position `start`."""
        query = (
            select(tables.redrive_item)
            .where(_i.job == job, _i.position >= start)
            .order_by(_i.position)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [RedriveItem.model_validate(r._asdict()) for r in connection.execute(query)]

    def find_redrive(self, prefix: str) -> str:
        """The id of the one redrive whose id starts so. Raises UnknownRow."""
        return self._find("redrive", _j.job, prefix)

    def find_worker(self, prefix: str) -> str:
        """The one worker whose name starts so. Raises UnknownRow."""
        return self._find("worker", tables.worker.c.worker, prefix)

    def workers(self) -> list[WorkerRow]:
        """Every worker that was ever seen, live ones first, by name."""
        running = (
            select(_t.worker, func.count().label("tasks"))
            .where(tables.LEASED)
            .group_by(_t.worker)
            .subquery()
        )
        query = (
            select(tables.worker, running.c.tasks)
            .outerjoin(running, running.c.worker == tables.worker.c.worker)
            .order_by(tables.worker.c.gone, tables.worker.c.worker)
        )
        with self._engine.connect() as connection:
            return [
                WorkerRow(
                    worker=row.worker,
                    lanes=tuple(row.lanes),
                    state="gone" if row.gone else "live",
                    first_seen=row.first_seen,
                    last_seen=row.last_seen,
                    running=row.tasks or 0,
                    facts=row.facts,
                    drain_asked=row.drain_asked,
                    drained_by=row.drained_by,
                    drain_reason=row.drain_reason,
                )
                for row in connection.execute(query)
            ]

    def spans(self, trace_id: str, task: str | None = None) -> list[SpanRow]:
        """The spans of one trace, or those of one task of it, in the order they began."""
        s = tables.span.c
        query = select(tables.span).where(s.trace_id == trace_id)
        if task is not None:
            query = query.where(s.task == task)
        with self._engine.connect() as connection:
            return unfolded(connection.execute(query))

    def _find(self, what: str, column: ColumnElement[str], prefix: str) -> str:
        # A range, and not LIKE: it uses the key's index and takes % and _ for what they are.
        query = (
            select(column)
            .where(column >= prefix, column < prefix + "\U0010ffff")
            .order_by(column)
            .limit(2)
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).scalars().all()
        if prefix in found:
            return prefix
        if not prefix or len(found) != 1:
            several = "several start" if found else "none starts"
            raise UnknownRow(f"no single {what} is meant by {prefix!r}: {several} so")
        return found[0]
