"""Times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from console.errors import Refused
from console.times import moment, span

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_a_time_with_a_zone_is_that_moment() -> None:
    """Whatever this machine's zone is."""
    assert moment("2026-06-02T08:00+02:00", NOON) == datetime(2026, 6, 2, 6, tzinfo=UTC)


def test_a_time_of_day_is_the_next_one_by_this_machines_clock() -> None:
    """Today if it is still to come, else tomorrow."""
    soon = (NOON + timedelta(minutes=5)).astimezone()
    gone = (NOON - timedelta(minutes=5)).astimezone()

    assert moment(f"{soon:%H:%M}", NOON) == NOON + timedelta(minutes=5)
    assert moment(f"{gone:%H:%M}", NOON) == NOON + timedelta(days=1, minutes=-5)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("30m", 1800), ("2h", 7200), ("1d12h", 129_600)]
)
def test_a_span_is_read_by_its_units(text: str, seconds: int) -> None:
    """Days, hours, minutes, seconds, in this order."""
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-1h", "1h1d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """With how to write one."""
    with pytest.raises(Refused, match="1d12h"):
        span(text)


@pytest.mark.parametrize("text", ["soon", "25:99", "2026-13-01", "2020-01-01T00:00Z"])
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    """Nothing is started for a slip of the pen."""
    with pytest.raises(Refused):
        moment(text, NOON)
