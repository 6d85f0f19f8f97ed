"""What the console's lists are read from: runs, tasks and artifacts, filtered, a page at a time.

Words that are looked for have no index. They are looked for in a bounded stretch of the list, and
the page's cursor goes on behind that stretch, so that no page costs more than the bound.
"""

import json
from collections.abc import Iterable
from typing import Any, Self

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, Select, and_, func, null, or_, select

from contracts.artifact import ArtifactPointer
from contracts.fact import Fact
from contracts.states import State
from fleet.ledger import tables
from fleet.ledger.database import open_reading_engine
from fleet.ledger.errors import UnknownRow
from fleet.ledger.paging import Page, below, cursor_of, time_of, values_of
from fleet.ledger.rows import ArtifactRow, AttemptRow, RunRow, TaskRow
from fleet.ledger.spans import SpanTimes, times_of
from fleet.ledger.types import micros
from fleet.ledger.views import an_attempt, run_fields, task_fields

STRETCH = 4000
"""Rows that one page looks through for words."""
POINTERS = 2000
"""The same of artifacts, whose pointers are long."""
PREVIOUS = 100
"""Earlier runs of a pipeline and tenant among which the same request is looked for."""
_AT_ONCE = 10

_r, _t, _a = tables.run.c, tables.task.c, tables.attempt.c
_o, _i, _d = tables.output.c, tables.input_.c, tables.dead_letter.c


class RunFilter(Fact):
    """Which runs are wanted; what is None or empty does not matter."""

    tenants: tuple[str, ...] | None = None
    """Those that may be seen; None for all."""
    tenant: str | None = None
    pipeline: str | None = None
    state: State | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    text: str = ""
    """Part of the id, the requester, the idempotency key, or of a value of a parameter."""


class RunAttempt(AttemptRow):
    """An attempt with the task that it was of."""

    task: str
    stage: str
    partition: str


class DeadMessage(Fact):
    """A message that was not taken. Its body stays on the bus."""

    queue: str
    sequence_number: int
    message_id: str
    disposition: str
    reason: str
    description: str
    size: int
    at: AwareDatetime
    kind: str | None
    version: int | None


class Lineage(Fact):
    """An input of a task: which task read which bytes."""

    task: str
    stage: str
    partition: str
    digest: str


class LedgerBrowser:
    """Reads one ledger for lists. May be used from several threads; writes nothing."""

    def __init__(self, url: str) -> None:
        self._engine = open_reading_engine(url)

    def close(self) -> None:
        """Let the connections go. Twice is harmless."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- runs -------------------------------------------------------------------------------------

    def runs(self, wanted: RunFilter, cursor: str | None = None, limit: int = 50) -> Page[RunRow]:
        """The newest first. Raises UnknownRow for a cursor that is none."""
        conditions = list(_of_filter(wanted))
        if cursor is not None:
            conditions.append(_below_run(cursor))
        shown = [_r[name] for name in RunRow.model_fields]
        query = select(*shown).where(*conditions).order_by(_r.submitted.desc(), _r.run.desc())
        if wanted.text:
            return self._runs_with(wanted.text, query, limit)
        with self._engine.connect() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        more = rows[limit - 1] if len(rows) > limit else None
        return Page(
            rows=tuple(RunRow(**run_fields(row)) for row in rows[:limit]),
            next=None if more is None else _after_run(more),
        )

    def _runs_with(self, text: str, query: Select[Any], limit: int) -> Page[RunRow]:
        stretch = query.add_columns(_r.request).limit(STRETCH).subquery("stretch")
        c = stretch.c
        like = f"%{_escaped(text)}%"
        found = (
            select(stretch)
            .where(or_(c.run.like(like, escape="!"), c.request.like(like, escape="!")))
            .order_by(c.submitted.desc(), c.run.desc())
            .limit(limit + 1)
        )
        # Ends with the last one looked at, if the stretch was that long.
        end = select(c.submitted, c.run).order_by(c.submitted.desc(), c.run.desc())
        end = end.offset(STRETCH - 1).limit(1)
        with self._engine.connect() as connection:
            rows = connection.execute(found).all()
            last = connection.execute(end).first()
        next_: str | None = None
        if len(rows) > limit:
            next_ = _after_run(rows[limit - 1])
        elif last is not None:
            next_ = _after_run(last)
        return Page(rows=tuple(RunRow(**run_fields(row)) for row in rows[:limit]), next=next_)

    def pipelines(self) -> list[str]:
        """The pipelines that ever ran, by name."""
        return self._distinct(_r.pipeline)

    def tenants(self) -> list[str]:
        """The tenants that ever had a run, by name."""
        return self._distinct(_r.tenant)

    def _distinct(self, column: ColumnElement[str], most: int = 500) -> list[str]:
        # One step of the index for each value: SELECT DISTINCT would walk every run.
        found: list[str] = []
        with self._engine.connect() as connection:
            while len(found) < most:
                query = select(func.min(column))
                if found:
                    query = query.where(column > found[-1])
                value = connection.execute(query).scalar()
                if value is None:
                    break
                found.append(value)
        return found

    def previous(self, run: str) -> str | None:
        """The latest earlier run of the same request: pipeline, scope and parameters.

        Looked for among the latest `PREVIOUS` of the pipeline and tenant. Raises UnknownRow.
        """
        with self._engine.connect() as connection:
            query = select(_r.pipeline, _r.tenant, _r.submitted, _r.request)
            row = connection.execute(query.where(_r.run == run)).first()
            if row is None:
                raise UnknownRow(f"there is no run {run}")
            earlier = (
                select(_r.run, _r.request)
                .where(
                    _r.tenant == row.tenant,
                    _r.pipeline == row.pipeline,
                    _r.submitted <= row.submitted,
                    _r.run != run,
                )
                .order_by(_r.submitted.desc(), _r.run.desc())
                .limit(PREVIOUS)
            )
            wanted = _asked(row.request)
            # Read no further than to the first: each row lies on a page of its own.
            with connection.execution_options(yield_per=_AT_ONCE).execute(earlier) as found:
                return next((one.run for one in found if _asked(one.request) == wanted), None)

    # --- tasks ------------------------------------------------------------------------------------

    def tasks(
        self,
        run: str,
        stage: str | None = None,
        state: State | None = None,
        cursor: str | None = None,
        limit: int = 200,
    ) -> Page[TaskRow]:
        """A run's tasks, by stage and partition. Raises UnknownRow for a cursor that is none."""
        conditions = [_t.run == run]
        if stage is not None:
            conditions.append(_t.stage == stage)
        if state is not None:
            conditions.append(_t.state == state.value)
        if cursor is not None:
            after = values_of(cursor, str, str)
            conditions.append(
                or_(_t.stage > after[0], and_(_t.stage == after[0], _t.partition > after[1]))
            )
        query = (
            select(tables.task).where(*conditions).order_by(_t.stage, _t.partition).limit(limit + 1)
        )
        with self._engine.connect() as connection:
            rows = [TaskRow(**task_fields(row)) for row in connection.execute(query)]
        more = rows[limit - 1] if len(rows) > limit else None
        return Page(
            rows=tuple(rows[:limit]),
            next=None if more is None else cursor_of(more.stage, more.partition),
        )

    def attempts(self, run: str, limit: int = 500) -> list[RunAttempt]:
        """A run's attempts in the order they began, up to so many."""
        query = (
            select(tables.attempt, _t.stage, _t.partition)
            .join(tables.task, _t.task == _a.task)
            .where(_t.run == run)
            .order_by(_a.started, _a.task, _a.epoch)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [
                RunAttempt(
                    **an_attempt(row).model_dump(),
                    task=row.task,
                    stage=row.stage,
                    partition=row.partition,
                )
                for row in connection.execute(query)
            ]

    def trace(self, run: str, trace_id: str, limit: int = 2000) -> list[SpanTimes]:
        """A run's spans in the order they began, up to so many; none where they are kept
        elsewhere."""
        s = tables.span.c
        query = (
            select(*(s[name] for name in SpanTimes.model_fields), s.within)
            .where(s.trace_id == trace_id, s.run == run)
            .order_by(s.start_ns, s.span_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return times_of(connection.execute(query))[:limit]

    def dead_tasks(self, group: str, cursor: str | None = None, limit: int = 50) -> Page[TaskRow]:
        """The tasks that stand dead with one fingerprint, by stage; those of cancelled runs too,
        which no redrive opens. Raises UnknownRow for a cursor that is none."""
        conditions: list[ColumnElement[bool]] = [and_(tables.DEAD, _t.fingerprint == group)]
        if cursor is not None:
            stage, task = values_of(cursor, str, str)
            conditions.append(or_(_t.stage > stage, and_(_t.stage == stage, _t.task > task)))
        query = select(tables.task).where(*conditions).order_by(_t.stage, _t.task).limit(limit + 1)
        with self._engine.connect() as connection:
            rows = [TaskRow(**task_fields(row)) for row in connection.execute(query)]
        more = rows[limit - 1] if len(rows) > limit else None
        return Page(
            rows=tuple(rows[:limit]),
            next=None if more is None else cursor_of(more.stage, more.task),
        )

    def dead_messages(self, group: str, limit: int = 100) -> list[DeadMessage]:
        """The latest messages that were not taken for one cause, and still lie there."""
        query = (
            select(*(_d[name] for name in DeadMessage.model_fields))
            .where(_d.fingerprint == group, _d.taken_up.is_(null()))
            .order_by(_d.at.desc(), _d.queue, _d.sequence_number)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [DeadMessage.model_validate(row._asdict()) for row in connection.execute(query)]

    def messages_by_queue(self) -> dict[str, int]:
        """How many messages are noted as dead-lettered, by queue, and were not sent again since."""
        query = (
            select(_d.queue, func.count())
            .where(_d.taken_up.is_(null()), _d.disposition == "dead")
            .group_by(_d.queue)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def message(self, queue: str, sequence_number: int) -> DeadMessage:
        """One message that was not taken, and still lies there. Raises UnknownRow."""
        query = select(*(_d[name] for name in DeadMessage.model_fields)).where(
            _d.queue == queue, _d.sequence_number == sequence_number, _d.taken_up.is_(null())
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise UnknownRow(f"no message {queue}/{sequence_number} stands as a dead letter")
        return DeadMessage.model_validate(row._asdict())

    def held_by_workers(self, limit: int = 500) -> list[TaskRow]:
        """The tasks that are leased now, by worker."""
        query = (
            select(tables.task)
            .where(tables.LEASED)
            .order_by(_t.worker, _t.started, _t.task)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [TaskRow(**task_fields(row)) for row in connection.execute(query)]

    # --- artifacts --------------------------------------------------------------------------------

    def artifacts(
        self,
        *,
        run: str | None = None,
        tenants: tuple[str, ...] | None = None,
        text: str = "",
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[tuple[str, int, ArtifactRow]]:
        """Of the newest runs first: each with its run and its position among the attempt's.

        `text`: part of the name, or of anything else that the pointer says. `tenants`: those whose
        artifacts may be seen, and only what was published to their people.
        """
        order = (_o.run, _o.stage, _o.task, _o.epoch, _o.position)
        conditions: list[ColumnElement[bool]] = []
        if run is not None:
            conditions.append(_o.run == run)
        if cursor is not None:
            conditions.append(below(order, values_of(cursor, str, str, str, int, int)))
        shown = (*order, _o.partition, _o.recorded, _o.pointer)
        stretch = (
            select(*shown)
            .where(*conditions)
            .order_by(*(column.desc() for column in order))
            .limit(POINTERS if text or tenants is not None else limit + 1)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(stretch).all()
        found: list[tuple[str, int, ArtifactRow]] = []
        last, seen = None, 0
        for row in rows:
            if len(found) == limit:
                break
            last, seen = row, seen + 1
            if text and text.casefold() not in row.pointer.casefold():
                continue
            one = _an_artifact(row)
            if tenants is None or published_to(one.pointer, tenants):
                found.append((row.run, row.position, one))
        more = last is not None and (seen < len(rows) or len(rows) == POINTERS)
        next_ = cursor_of(*(getattr(last, c.name) for c in order)) if more else None
        return Page(rows=tuple(found), next=next_)

    def artifact(self, task: str, epoch: int, position: int) -> tuple[str, ArtifactRow]:
        """One artifact with its run. Raises UnknownRow."""
        query = select(tables.output).where(
            _o.task == task, _o.epoch == epoch, _o.position == position
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise UnknownRow("there is no such artifact")
        return row.run, _an_artifact(row)

    def made_by(self, task: str) -> list[tuple[int, ArtifactRow]]:
        """What a task's attempts made, each with its position in its attempt."""
        query = (
            select(tables.output).where(_o.task == task).order_by(_o.epoch, _o.position).limit(1000)
        )
        with self._engine.connect() as connection:
            return [(row.position, _an_artifact(row)) for row in connection.execute(query)]

    def lineage(self, run: str, limit: int = 5000) -> list[Lineage]:
        """Which of a run's tasks read which bytes, by task."""
        query = (
            select(_i.task, _t.stage, _t.partition, _i.pointer)
            .join(tables.task, and_(_t.task == _i.task, _t.epoch == _i.epoch))
            .where(_t.run == run)
            .order_by(_i.task, _i.position)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [
                Lineage(
                    task=row.task,
                    stage=row.stage,
                    partition=row.partition,
                    digest=ArtifactPointer.model_validate_json(row.pointer).digest,
                )
                for row in connection.execute(query)
            ]


def published_to(pointer: ArtifactPointer, tenants: Iterable[str]) -> bool:
    """Whether people of one of these tenants may know of it."""
    return pointer.scope.audience == "tenant" and pointer.scope.tenant in set(tenants)


def _an_artifact(row: Any) -> ArtifactRow:
    return ArtifactRow(
        task=row.task,
        stage=row.stage,
        partition=row.partition,
        epoch=row.epoch,
        recorded=row.recorded,
        pointer=ArtifactPointer.model_validate_json(row.pointer),
    )


def _of_filter(wanted: RunFilter) -> Iterable[ColumnElement[bool]]:
    if wanted.tenants is not None:
        yield _r.tenant.in_(wanted.tenants)
    for column, value in (
        (_r.tenant, wanted.tenant),
        (_r.pipeline, wanted.pipeline),
        (_r.state, wanted.state),
    ):
        if value:
            yield column == str(value)
    if wanted.since is not None:
        yield _r.submitted >= wanted.since
    if wanted.until is not None:
        yield _r.submitted < wanted.until


def _below_run(cursor: str) -> ColumnElement[bool]:
    submitted, run = values_of(cursor, int, str)
    return below((_r.submitted, _r.run), (time_of(submitted), run))


def _after_run(row: Any) -> str:
    return cursor_of(micros(row.submitted), row.run)


def _escaped(text: str) -> str:
    """For LIKE, with ! before what would be a wildcard: also SQL Server's brackets."""
    return "".join(f"!{c}" if c in "!%_[" else c for c in text)


def _asked(request: str) -> list[object]:
    """What a request asks for, whoever asks and under whichever key."""
    # Plain JSON: two hundred are compared for one page, and each was checked when it was recorded.
    told = json.loads(request)
    return [told.get(name) for name in ("pipeline", "scope", "parameters", "flags")]
