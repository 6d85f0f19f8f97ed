"""Keeping a rate."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from policies.pace import allowed

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def test_without_a_rate_all_may_go() -> None:
    """Up to what one step takes."""
    assert allowed(NOW, NOW, None, 200) == (200, NOW)


def test_nothing_goes_before_its_time() -> None:
    """At 10 a second the first goes after a tenth of a second."""
    assert allowed(NOW, NOW + timedelta(milliseconds=99), 10, 200) == (0, NOW)
    count, paced = allowed(NOW, NOW + timedelta(milliseconds=100), 10, 200)
    assert (count, paced) == (1, NOW + timedelta(milliseconds=100))


def test_a_pause_is_not_caught_up() -> None:
    """After an hour away one second's worth goes, not an hour's."""
    assert allowed(NOW, NOW + timedelta(hours=1), 10, 10_000)[0] == 10


def test_a_clock_that_went_back_lets_nothing_go() -> None:
    """The rate is kept, and the stored time stands."""
    assert allowed(NOW, NOW - timedelta(hours=1), 10, 10) == (0, NOW)


@given(
    per_second=st.integers(1, 5000),
    steps=st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 500)), max_size=60),
)
def test_however_often_it_is_asked_the_rate_is_kept(
    per_second: int, steps: list[tuple[int, int]]
) -> None:
    """In any time span no more go than the rate allows for it, and one second's worth more."""
    now = paced = NOW
    gone = 0
    for microseconds, at_most in steps:
        now += timedelta(microseconds=microseconds)
        count, paced = allowed(paced, now, per_second, at_most)
        gone += count

        assert 0 <= count <= at_most
        assert gone <= per_second * ((now - NOW).total_seconds() + 1)
