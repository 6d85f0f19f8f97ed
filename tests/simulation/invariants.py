"""What holds of every story, at its end and in between; read from the ledger's own tables."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from contracts.limit import Limit
from contracts.states import FINAL, State, may_move
from fleet.ledger.sweep import ACTOR as SWEEPER
from tests.simulation.ledger import raw

OPERATOR = "ada"
"""Who pauses and cancels."""


class Broken(AssertionError):
    """An invariant does not hold: a bug of the fleet, or one that was planted."""


def always(connection: Connection) -> None:
    """No open state without something that ends it."""
    for row in connection.execute(
        text(
            "SELECT task.*, run.failing, run.cancel_requested FROM task JOIN run USING (run)"
            " WHERE task.state NOT IN ('succeeded','failed','denied','cancelled','dead')"
        )
    ):
        _need(row.deadline is not None, f"{row.state} without a deadline", row)
        match State(row.state):
            case State.RUNNING:
                _need(row.lease_until is not None, "running without a lease", row)
            case State.WAITING:
                _need(row.pending >= 0, "a counter below nothing", row)
                _need(not row.failing, "waiting in a run that starts nothing more", row)
            case _:
                _need(row.queued is not None, f"{row.state} since no time", row)
    for run in connection.execute(
        text(
            "SELECT run.run, run.state, run.open_tasks, count(task.task) AS left"
            " FROM run LEFT JOIN task ON task.run = run.run AND task.state NOT IN"
            " ('succeeded','failed','denied','cancelled','dead') GROUP BY run.run"
        )
    ):
        _need(run.open_tasks == run.left, "the counter of open tasks is wrong", run)
        _need((State(run.state) in FINAL) == (run.left == 0), "closed with open tasks", run)


def in_flow(connection: Connection, limits: Sequence[Limit]) -> None:
    """No more runs than the lane's limits let run."""
    running = raw(connection).execute("SELECT stage, partition FROM task WHERE state = 'running'")
    tasks = running.fetchall()
    for limit in limits:
        if limit.running is None:
            continue
        counts = Counter(limit.key.format(stage=stage, partition=of) for stage, of in tasks)
        most = max(counts.values(), default=0)
        _need(most <= limit.running, f"{most} run where {limit.running} may", tasks)


def at_the_end(
    connection: Connection, expected: dict[str, set[str]] | None, pauses: Sequence[range]
) -> None:
    """A final state; each effect once, by whom the ledger names; no move outside the table, and
    none into `running` during a pause.

    `expected`: partitions by stage of a run that must succeed; None where it may end badly.
    """
    always(connection)
    (run,) = connection.execute(text("SELECT * FROM run")).all()
    _need(State(run.state) in FINAL, "the run never ended", run)
    tasks = {row.task: row for row in connection.execute(text("SELECT * FROM task"))}
    if expected is not None:
        _need(run.state == State.SUCCEEDED, "a run that nothing was wrong with failed", run)
        made: dict[str, set[str]] = defaultdict(set)
        for task in tasks.values():
            made[task.stage].add(task.partition)
        _need(made == expected, f"other tasks than planned: {dict(made)}", run)
    _effects(connection, tasks)
    _moves(connection, {task: row.state for task, row in tasks.items()})
    for pause in pauses:
        # Without `old` it is no move: somebody asked to cancel what was running already.
        begun = text(
            "SELECT * FROM event WHERE new = 'running' AND old IS NOT NULL"
            " AND seq BETWEEN :first AND :last"
        )
        span = {"first": pause.start, "last": pause.stop - 1}
        for event in connection.execute(begun, span):
            _need(event.task is None, "begun during a pause", event)


def _effects(connection: Connection, tasks: dict[str, Any]) -> None:
    attempts = {
        (row.task, row.epoch): row for row in connection.execute(text("SELECT * FROM attempt"))
    }
    won = Counter(task for (task, _), row in attempts.items() if row.state == State.SUCCEEDED)
    made: Counter[str] = Counter()
    for row in connection.execute(text("SELECT * FROM output WHERE produced = 1")):
        made[row.task] += 1
        attempt = attempts[row.task, row.epoch]
        _need(attempt.state == State.SUCCEEDED, "an output of an attempt that failed", row)
        number = json.loads(row.pointer)["provenance"]["attempt"]
        _need(number == attempt.number, f"made by attempt {number}, recorded as another's", row)
        by = json.loads(attempt.facts)["by"]
        _need(by == attempt.worker, f"made by {by}, recorded as {attempt.worker}'s", row)
    for task, row in tasks.items():
        once = 1 if row.state == State.SUCCEEDED else 0
        _need(won[task] == once, f"{won[task]} attempts succeeded", row)
        _need(made[task] == once, f"{made[task]} effects", row)


def _moves(connection: Connection, stands: dict[str, str]) -> None:
    told: dict[str, str] = {}
    holder: dict[str, str] = {}
    query = text("SELECT * FROM event WHERE task IS NOT NULL AND old IS NOT NULL ORDER BY seq")
    for event in connection.execute(query):
        legal = may_move(State(event.old), State(event.new))
        _need(legal, f"{event.old} to {event.new} is no move", event)
        before = told.get(event.task, State.WAITING.value)
        _need(before == event.old, f"was {before}, and moved from {event.old}", event)
        told[event.task] = event.new
        if event.new == State.RUNNING:
            holder[event.task] = event.actor
        if event.old == State.RUNNING and event.detail != "lease expired":
            by_right = event.actor in (holder[event.task], SWEEPER)
            by_force = event.actor == OPERATOR and event.new == State.CANCELLED
            _need(by_right or by_force, "ended by a worker that did not hold it", event)
    for task, state in told.items():
        _need(stands[task] == state, f"stands {stands[task]}, moved to {state}", task)


def _need(holds: bool, what: str, where: Any) -> None:
    if not holds:
        raise Broken(f"{what}: {where}")
