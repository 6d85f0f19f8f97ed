"""What follows from how an attempt ended. Work is tried again by this decision and nothing else.

Pure: the clock and the chance are arguments. An SDK's own retries are hiccups of one call, set once
in its adapter; the broker's delivery count is a backstop and never read here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.lane import RetryRules
from contracts.outcome import Failed, FaultKind, Interrupted, Outcome, Produced
from contracts.states import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The task succeeded: record what it produced and what became ready."""

    reason: str = "produced"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAt:
    """A new attempt, not before `at` (aware UTC), through the outbox."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Give the task back at once. Costs no attempt."""

    reason: str = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """No further attempt of its own accord: the task goes to `state`."""

    state: State
    reason: str


Next = Advance | RetryAt | Release | Close

_CLOSES = {
    FaultKind.PERMANENT: State.FAILED,
    FaultKind.BAD_INPUT: State.FAILED,
    FaultKind.DENIED: State.DENIED,
    FaultKind.CANCELLED: State.CANCELLED,
    FaultKind.PARKED: State.PARKED,
}


def decide(
    outcome: Outcome, *, attempt: int, rules: RetryRules, now: datetime, chance: float
) -> Next:
    """What to do next. `attempt` counts from 1 and is the one that just ended; `chance` is in
    [0, 1)."""
    match outcome:
        case Produced():
            return Advance()
        case Interrupted():
            return Release()
        case Failed(fault=fault) if fault.kind in _CLOSES:
            return Close(state=_CLOSES[fault.kind], reason=fault.code)
        case Failed(fault=fault) if attempt >= rules.max_attempts:
            return Close(
                state=State.DEAD, reason=f"attempts exhausted ({attempt}), the last by {fault.code}"
            )
        case Failed(fault=fault):
            return RetryAt(at=now + delay(rules, attempt, chance), reason=fault.code)


def delay(rules: RetryRules, attempt: int, chance: float) -> timedelta:
    """How long to wait after attempt number `attempt`: between half and all of a time that grows
    by `factor` each attempt, up to `longest_delay`. Spread, so that what failed together does not
    come back together."""
    try:
        grown = rules.first_delay * rules.factor ** (attempt - 1)
    except OverflowError:
        grown = rules.longest_delay
    return timedelta(seconds=min(grown, rules.longest_delay) * (0.5 + chance / 2))
