"""Recording how attempts ended: outcome, artifacts, lineage, decisions and all that follows.

One transaction, guarded by the epoch in the update itself. A stale epoch writes nothing at all.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, or_, select, true, update

from contracts.states import FINAL, State, may_move
from fleet.ledger import tables
from fleet.ledger.advance import STANDING, Closed, advance, hold
from fleet.ledger.approvals import ask
from fleet.ledger.errors import IllegalMove, IllegalRecord, LedgerError, StaleEpoch
from fleet.ledger.fingerprints import fingerprint_of
from fleet.ledger.many import execute_many
from fleet.ledger.moves import (
    IDS,
    a_closing,
    an_event,
    append_events,
    chunks,
    close_attempts,
    new_token,
)
from fleet.ledger.promise import PROMISED, a_promise, promise
from fleet.ledger.put_off import wake_keys
from fleet.ledger.rows import OutboxRow, Record, Recorded
from fleet.ledger.runs import facts_of
from fleet.ledger.slots import drop
from fleet.ledger.types import AnyRow, UtcTime

_t = tables.task.c

_runs_of = select(_t.run).where(_t.task.in_(bindparam("tasks", expanding=True))).distinct()

_cancelled = (
    select(_t.task)
    .join(tables.run, tables.run.c.run == _t.run)
    .where(
        _t.task.in_(bindparam("tasks", expanding=True)),
        or_(tables.run.c.cancel_requested == true(), _t.cancel_requested == true()),
    )
)

_end = (
    update(tables.task)
    .where(
        _t.task == bindparam("b_task"),
        _t.epoch == bindparam("b_epoch"),
        _t.state == State.RUNNING.value,
    )
    .values(
        state=bindparam("b_state"),
        was=_t.state,
        token=bindparam("b_token"),
        attempt=_t.attempt + bindparam("b_more"),
        queued=func.coalesce(bindparam("b_queued", type_=UtcTime), _t.queued),
        lease_until=None,
        ended=bindparam("b_ended"),
        fault=bindparam("b_fault"),
        fingerprint=bindparam("b_fingerprint"),
    )
)

_ended = (
    select(*PROMISED, _t.epoch, _t.state, _t.token, *STANDING)
    .join(tables.run, tables.run.c.run == _t.run)
    .where(_t.task.in_(bindparam("tasks", expanding=True)))
)

_add_outputs = insert(tables.output)
_add_inputs = insert(tables.input_)
_add_decisions = insert(tables.decision)

_Won = tuple[Record, AnyRow]


def record(connection: Connection, records: Sequence[Record]) -> Sequence[Recorded | LedgerError]:
    """What each record caused, or why nothing of it was written."""
    answers: list[Recorded | LedgerError | None] = [_refusal(one) for one in records]
    allowed = [place for place, refusal in enumerate(answers) if refusal is None]
    tokens = {place: new_token() for place in allowed}
    hold(connection, _runs(connection, [records[place] for place in allowed]))
    records = _ended_with_their_runs(connection, records)
    rows = _moved(connection, [(records[place], tokens[place]) for place in allowed])
    won: dict[int, _Won] = {}
    for place in allowed:
        one, row = records[place], rows.get(records[place].task)
        if row is None:
            answers[place] = StaleEpoch(one.task, one.epoch, None, None)
        elif row.token != tokens[place]:
            answers[place] = StaleEpoch(one.task, one.epoch, row.epoch, State(row.state))
        else:
            won[place] = one, row
    caused, states = _write_down(connection, list(won.values()))
    woken = _freed(connection, list(won.values()))
    for place, (_, row) in won.items():
        # Of records that advanced one run together, the first hands its rows on.
        outbox = tuple(caused.pop(row.run, ()))
        answers[place] = Recorded(outbox=outbox + woken, run_state=states[row.run])
        woken = ()
    return [answer for answer in answers if answer is not None]


def _runs(connection: Connection, records: Sequence[Record]) -> set[str]:
    """The runs of these records' tasks."""
    untold = [one.task for one in records if one.run is None]
    return {one.run for one in records if one.run is not None} | {
        row.run
        for some in chunks(untold, IDS)
        for row in connection.execute(_runs_of, {"tasks": some})
    }


def _ended_with_their_runs(connection: Connection, records: Sequence[Record]) -> Sequence[Record]:
    """Where the cancellation of run or task was asked for, what would go on is cancelled instead.

    Else a task held or parked in that moment would keep its run open until the deadline.
    """
    if all(one.state in FINAL for one in records):
        return records
    cancelled = {
        row.task
        for some in chunks([one.task for one in records], IDS)
        for row in connection.execute(_cancelled, {"tasks": some})
    }
    return [
        replace(one, state=State.CANCELLED, retry_at=None)
        if one.task in cancelled and one.state not in FINAL
        else one
        for one in records
    ]


def _refusal(one: Record) -> LedgerError | None:
    if not may_move(State.RUNNING, one.state):
        return IllegalMove(f"task {one.task}", State.RUNNING, one.state)
    if (one.state is State.RETRYING) != (one.retry_at is not None):
        return IllegalRecord(
            f"task {one.task}: retrying needs a time, and nothing else may have one;"
            " nothing was written"
        )
    return None


def _moved(connection: Connection, allowed: Sequence[tuple[Record, str]]) -> dict[str, AnyRow]:
    """The task rows after the guarded update; a row's token tells whose record moved it."""
    if not allowed:
        return {}
    execute_many(connection, _end, [_ending(one, token) for one, token in allowed])
    return {
        row.task: row
        for some in chunks([one.task for one, _ in allowed], IDS)
        for row in connection.execute(_ended, {"tasks": some}).all()
    }


def _ending(one: Record, token: str) -> dict[str, Any]:
    fault = None if one.fault is None else one.fault.model_dump(mode="json")
    return {
        "b_task": one.task,
        "b_epoch": one.epoch,
        "b_state": one.state.value,
        "b_token": token,
        "b_more": 1 if one.state is State.RETRYING else 0,
        "b_ended": one.now if one.state in FINAL else None,
        "b_queued": one.now if one.state is State.QUEUED else one.retry_at,
        "b_fault": fault,
        "b_fingerprint": fingerprint_of(one.state, fault),
    }


def _write_down(
    connection: Connection, won: Sequence[_Won]
) -> tuple[dict[str, list[OutboxRow]], dict[str, State]]:
    """All that the won records leave. Gives the outbox rows and the state of each run."""
    if not won:
        return {}, {}
    _close_attempts(connection, won)
    _add_artifacts(connection, won)
    ask(connection, won)
    events = [_event(one, row) for one, row in won]
    runs = dict.fromkeys(row.run for _, row in won)
    now = max(one.now for one, _ in won)
    retries = [
        a_promise(row, not_before=one.retry_at, traceparent=one.traceparent)
        for one, row in won
        if one.state is State.RETRYING
    ]
    read = {row.run: row for _, row in won}
    ready, states = advance(connection, _closed(won), runs, now, read=read, events=events)
    append_events(connection, events)
    caused: dict[str, list[OutboxRow]] = {}
    for row in promise(connection, retries + ready, facts_of(connection, runs), now):
        caused.setdefault(row.run, []).append(row)
    return caused, states


def _freed(connection: Connection, won: Sequence[_Won]) -> tuple[OutboxRow, ...]:
    """What waited for the slots that these records free, promised."""
    had = [(one, row) for one, row in won if one.slots]
    if not had:
        return ()
    drop(connection, [row.task for _, row in had])
    keys = sorted({key for one, _ in had for key in one.slots})
    return wake_keys(connection, keys, max(one.now for one, _ in had)).outbox


def _closed(won: Sequence[_Won]) -> list[Closed]:
    return [
        Closed(
            task=row.task,
            run=row.run,
            stage=row.stage,
            partition=row.partition,
            state=one.state,
            actor=one.worker,
            partitions=one.partitions,
            traceparent=one.traceparent,
        )
        for one, row in won
        if one.state in FINAL
    ]


def _close_attempts(connection: Connection, won: Sequence[_Won]) -> None:
    execute_many(
        connection,
        close_attempts,
        [
            a_closing(
                task=row.task,
                epoch=row.epoch,
                ended=one.now,
                state=one.state.value,
                fault=None if one.fault is None else one.fault.model_dump(mode="json"),
                facts=one.facts or None,
                traceparent=one.traceparent,
                reused_from=one.reused_from,
            )
            for one, row in won
        ],
    )


def _add_artifacts(connection: Connection, won: Sequence[_Won]) -> None:
    """Outputs, inputs and decisions: the lineage of each attempt."""
    outputs = [
        {
            "task": row.task,
            "epoch": row.epoch,
            "position": position,
            "run": row.run,
            "stage": row.stage,
            "partition": row.partition,
            "produced": one.state is State.SUCCEEDED,
            "name": pointer.name,
            "recorded": one.now,
            "pointer": pointer.model_dump_json(exclude_defaults=True),
        }
        for one, row in won
        for position, pointer in enumerate(one.outputs)
    ]
    inputs = [
        {
            "task": row.task,
            "epoch": row.epoch,
            "position": position,
            "pointer": pointer.model_dump_json(exclude_defaults=True),
        }
        for one, row in won
        for position, pointer in enumerate(one.inputs)
    ]
    decisions = [
        {
            "task": row.task,
            "epoch": row.epoch,
            "position": position,
            "recorded": one.now,
            "decision": decision.text,
        }
        for one, row in won
        for position, decision in enumerate(one.decisions)
    ]
    for statement, rows in (
        (_add_outputs, outputs),
        (_add_inputs, inputs),
        (_add_decisions, decisions),
    ):
        for some in chunks(rows):
            execute_many(connection, statement, some)


def _event(one: Record, row: AnyRow) -> dict[str, Any]:
    said = [] if one.fault is None else [f"{one.fault.code}: {one.fault.message}"]
    if one.state is State.RETRYING and one.retry_at is not None:
        said.append(f"attempt {row.attempt} not before {one.retry_at.isoformat()}")
    if one.state is State.QUEUED:
        said.append("released; the attempt is not spent")
    if one.reused_from is not None:
        said.append(f"the result of task {one.reused_from} was used again")
    return an_event(
        at=one.now,
        run=row.run,
        task=row.task,
        actor=one.worker,
        old=State.RUNNING.value,
        new=one.state.value,
        detail="; ".join(said),
    )
