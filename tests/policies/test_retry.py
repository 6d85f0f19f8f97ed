"""What follows from an attempt: the table, and what holds for every attempt."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.lane import RetryRules
from contracts.outcome import Failed, Fault, FaultKind, Interrupted, Produced
from contracts.states import CLAIMABLE, State, may_move
from policies.retry import Advance, Close, Release, RetryAt, decide, delay

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RULES = RetryRules(max_attempts=4, first_delay=1, factor=3, longest_delay=300)
TRYABLE = (FaultKind.TRANSIENT, FaultKind.TIMED_OUT)

some_rules = st.builds(
    RetryRules,
    max_attempts=st.integers(1, 100),
    first_delay=st.floats(0.001, 1e4),
    factor=st.floats(1, 1e6),
    longest_delay=st.floats(0.001, 1e6),
)
chances = st.floats(0, 1, exclude_max=True)


def failed(kind: FaultKind) -> Failed:
    return Failed(fault=Fault(kind=kind, code="source.unreachable", message="no answer"))


def test_what_was_produced_advances() -> None:
    """Success needs no rule."""
    assert decide(Produced(), attempt=9, rules=RULES, now=NOW, chance=0.5) == Advance()


def test_an_interruption_costs_no_attempt() -> None:
    """A worker that stops gives its task back, however often it was tried."""
    assert decide(Interrupted(), attempt=4, rules=RULES, now=NOW, chance=0.5) == Release()


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (FaultKind.PERMANENT, State.FAILED),
        (FaultKind.BAD_INPUT, State.FAILED),
        (FaultKind.DENIED, State.DENIED),
        (FaultKind.CANCELLED, State.CANCELLED),
        (FaultKind.PARKED, State.PARKED),
    ],
)
def test_what_cannot_help_is_not_tried_again(kind: FaultKind, state: State) -> None:
    """A fault that another attempt cannot mend closes the task on the first."""
    assert decide(failed(kind), attempt=1, rules=RULES, now=NOW, chance=0) == Close(
        state=state, reason="source.unreachable"
    )


@pytest.mark.parametrize("kind", TRYABLE)
def test_attempts_run_out(kind: FaultKind) -> None:
    """The last attempt that fails leaves the task dead, and says by what."""
    decided = decide(failed(kind), attempt=4, rules=RULES, now=NOW, chance=0)

    assert isinstance(decided, Close)
    assert decided.state is State.DEAD
    assert "source.unreachable" in decided.reason


def test_waits_grow_and_are_spread() -> None:
    """1, 3, 9 seconds, of which chance takes up to a half."""
    assert [delay(RULES, n, 0.0).total_seconds() for n in (1, 2, 3)] == [0.5, 1.5, 4.5]
    assert delay(RULES, 3, 0.5) == timedelta(seconds=6.75)
    assert delay(RULES, 90, 0.0) == timedelta(seconds=150)


@given(rules=some_rules, attempt=st.integers(1, 100), chance=chances)
def test_waits_stay_in_bounds(rules: RetryRules, attempt: int, chance: float) -> None:
    """No wait is negative or longer than the rules say, and none is shorter than an earlier one's
    shortest."""
    wait = delay(rules, attempt, chance)

    assert timedelta(0) <= wait <= timedelta(seconds=rules.longest_delay)
    assert delay(rules, attempt, 0) <= wait
    assert delay(rules, attempt, 0) <= delay(rules, attempt + 1, 0)


@given(
    kind=st.sampled_from(FaultKind), attempt=st.integers(1, 200), rules=some_rules, chance=chances
)
def test_every_ending_is_a_legal_move(
    kind: FaultKind, attempt: int, rules: RetryRules, chance: float
) -> None:
    """A running task can always become what is decided, and no task is tried for ever."""
    decided = decide(failed(kind), attempt=attempt, rules=rules, now=NOW, chance=chance)

    match decided:
        case Close(state=state, reason=reason):
            assert may_move(State.RUNNING, state)
            assert state not in CLAIMABLE
            assert reason
        case RetryAt(at=at):
            assert kind in TRYABLE
            assert attempt < rules.max_attempts
            assert NOW <= at <= NOW + timedelta(seconds=rules.longest_delay)
        case _:
            pytest.fail(f"{decided} for a failure")
