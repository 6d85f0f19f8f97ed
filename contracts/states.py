"""The states of a task and of a run, and every move that is legal.

The ledger, the console, the tests and the diagram in docs read this one table.
A run uses the subset RUN_STATES; its moves are the same table's, and a redrive of one of its tasks
opens a failed or denied run again. A run that was held and is then admitted goes on as running.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a task stands. Every state that is not final has a deadline for the sweeper."""

    WAITING = "waiting"  # for its parents
    QUEUED = "queued"  # in the outbox or on its lane's queue
    RUNNING = "running"  # leased by a worker
    RETRYING = "retrying"  # failed; its next attempt is promised for later
    HELD = "held"  # waits for an approval; a run also for room in its tenant's allowance
    PARKED = "parked"  # no worker here knows its kind or version yet
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # its own fault: trying again cannot help
    DENIED = "denied"  # a policy said no
    CANCELLED = "cancelled"
    DEAD = "dead"  # attempts exhausted, or poison


S = State

MOVES: dict[State, frozenset[State]] = {
    S.WAITING: frozenset({S.QUEUED, S.CANCELLED}),
    S.QUEUED: frozenset({S.RUNNING, S.HELD, S.PARKED, S.DENIED, S.CANCELLED, S.DEAD}),
    S.RUNNING: frozenset(
        {S.SUCCEEDED, S.FAILED, S.DENIED, S.RETRYING, S.HELD, S.PARKED}
        | {S.CANCELLED, S.DEAD, S.QUEUED}  # queued again: released, or its lease expired
    ),
    S.RETRYING: frozenset({S.RUNNING, S.HELD, S.PARKED, S.DENIED, S.CANCELLED, S.DEAD}),
    S.HELD: frozenset({S.QUEUED, S.DENIED, S.CANCELLED}),
    S.PARKED: frozenset({S.QUEUED, S.CANCELLED, S.DEAD}),
    S.SUCCEEDED: frozenset(),
    # Closed states that an operator's redrive opens again.
    S.FAILED: frozenset({S.QUEUED}),
    S.DEAD: frozenset({S.QUEUED}),
    S.DENIED: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.WAITING}),  # the failed task that it waited for is redriven
}

FINAL = frozenset({S.SUCCEEDED, S.FAILED, S.DENIED, S.CANCELLED, S.DEAD})
CLAIMABLE = frozenset({S.QUEUED, S.RETRYING})
RUN_STATES = frozenset({S.HELD, S.RUNNING, S.SUCCEEDED, S.FAILED, S.DENIED, S.CANCELLED})


def may_move(old: State, new: State) -> bool:
    """Whether the table allows `old` to become `new`."""
    return new in MOVES[old]
