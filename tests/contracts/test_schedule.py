"""Schedules: the times they mean, in their zone, and what becomes of those that were missed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.schedule import CatchUp, Schedule, due, key_of


def a_schedule(**changes: Any) -> Schedule:
    given = {
        "name": "nightly",
        "cron": "30 2 * * *",
        "pipeline": "monthly",
        "scope": {"tenant": "acme"},
        "requester": "ana",
    }
    return Schedule.model_validate(given | changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def some_times(schedule: Schedule, after: str, count: int) -> list[datetime]:
    times = schedule.times(at(after))
    return [next(times) for _ in range(count)]


def test_a_time_that_the_clock_skips_in_spring_fires_once_right_after() -> None:
    """02:30 does not exist in Berlin on 29 March 2026; the night has its run all the same."""
    berlin = a_schedule(zone="Europe/Berlin")

    assert some_times(berlin, "2026-03-28T12:00+01:00", 2) == [
        at("2026-03-29T01:00+00:00"),
        at("2026-03-30T00:30+00:00"),
    ]


def test_a_time_that_comes_twice_in_autumn_fires_once() -> None:
    """02:30 comes twice in Berlin on 25 October 2026; an hourly schedule goes by elapsed time."""
    berlin = a_schedule(zone="Europe/Berlin")
    hourly = a_schedule(zone="Europe/Berlin", cron="0 * * * *")

    assert some_times(berlin, "2026-10-24T12:00+02:00", 2) == [
        at("2026-10-25T00:30+00:00"),
        at("2026-10-26T01:30+00:00"),
    ]
    hours = some_times(hourly, "2026-10-24T23:30+02:00", 5)
    assert {later - earlier for earlier, later in pairwise(hours)} == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("rule", "fired", "skipped"), [("skip", [], 3), ("once", [3], 2), ("all", [2, 3], 1)]
)
def test_missed_times_follow_the_rule(rule: str, fired: list[int], skipped: int) -> None:
    """Three nights without a dispatcher: none, the latest, or the latest up to the bound."""
    schedule = a_schedule(catch_up=rule, most=2)

    told = due(schedule, at("2026-01-01T02:30Z"), at("2026-01-03T12:00Z"))

    assert [time.day for time in told.fire] == fired
    assert told.skipped == skipped
    assert told.next == at("2026-01-04T02:30Z")


@pytest.mark.parametrize("rule", list(CatchUp))
def test_a_time_that_is_noticed_in_time_fires_by_every_rule(rule: CatchUp) -> None:
    """A second late is no miss."""
    told = due(a_schedule(catch_up=rule), at("2026-01-01T02:30Z"), at("2026-01-01T02:30:01Z"))

    assert told.fire == (at("2026-01-01T02:30Z"),)
    assert told.skipped == 0


def test_a_schedule_by_the_second_that_slept_for_a_year_is_not_counted_through() -> None:
    """What was missed is counted up to a bound, at once."""
    schedule = a_schedule(cron="* * * * * *", catch_up="all", most=3)

    told = due(schedule, at("2025-01-01T00:00Z"), at("2026-01-01T00:00Z"))

    assert len(told.fire) == 3
    assert told.fire[-1] == at("2026-01-01T00:00Z")
    assert told.skipped == 997


@given(
    since=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)),  # noqa: DTZ001 - zone below
    late=st.integers(0, 10 * 86_400),
    rule=st.sampled_from(list(CatchUp)),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_what_is_due_is_in_order_in_the_past_and_goes_on_in_the_future(
    since: datetime, late: int, rule: CatchUp, zone: str
) -> None:
    """Whatever the zone's clocks do."""
    schedule = a_schedule(cron="15 */6 * * *", zone=zone, catch_up=rule)
    first = schedule.next(since.replace(tzinfo=UTC))
    assert first is not None
    now = first + timedelta(seconds=late)

    told = due(schedule, first, now)

    assert list(told.fire) == sorted(set(told.fire))
    assert all(first <= time <= now for time in told.fire)
    assert told.next is not None
    assert told.next > now


def test_a_request_has_the_scheduled_times_dates_in_the_zone() -> None:
    """Half past midnight in Auckland is yesterday in UTC."""
    schedule = a_schedule(
        zone="Pacific/Auckland",
        parameters={"day": "{date}", "before": "{yesterday}", "of": "{month}", "n": 3},
    )
    time = at("2026-06-30T12:30:00Z")

    request = schedule.request(time, key_of(schedule.name, time))

    assert request.parameters == {
        "day": "2026-07-01",
        "before": "2026-06-30",
        "of": "2026-07",
        "n": 3,
    }
    assert request.key == "schedule:nightly:2026-06-30T12:30:00Z"


@pytest.mark.parametrize(
    "fault", [{"cron": "61 * * * *"}, {"zone": "Europe/Nowhere"}, {"name": "No"}, {"late": 0}]
)
def test_what_is_no_schedule_is_refused(fault: dict[str, Any]) -> None:
    """With the field that is wrong."""
    with pytest.raises(ValidationError, match=next(iter(fault))):
        a_schedule(**fault)
