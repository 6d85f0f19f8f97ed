"""Column types."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as some
from sqlalchemy.dialects import sqlite

from fleet.ledger.types import UtcTime

DIALECT = sqlite.dialect()
TIMES = some.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=some.timezones(),
)


@given(TIMES, TIMES)
def test_times_keep_their_moment_and_order(first: datetime, second: datetime) -> None:
    """Whatever their zones, what is stored compares as they do, and comes back as the moment."""
    time = UtcTime()

    stored, other = (time.process_bind_param(at, DIALECT) for at in (first, second))

    assert stored is not None
    assert other is not None
    assert time.process_result_value(stored, DIALECT) == first.astimezone(UTC)
    assert (stored < other) == (first.astimezone(UTC) < second.astimezone(UTC))


def test_a_time_comes_back_in_utc() -> None:
    """Zones are not kept."""
    at = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=1)))

    back = UtcTime().process_result_value(UtcTime().process_bind_param(at, DIALECT), DIALECT)

    assert back is not None
    assert back.isoformat() == "2026-03-01T08:00:00+00:00"


def test_a_naive_time_is_refused() -> None:
    """Nobody can say which moment it is."""
    with pytest.raises(ValueError, match="no zone"):
        UtcTime().process_bind_param(datetime(2026, 3, 1), DIALECT)  # noqa: DTZ001 - the point
