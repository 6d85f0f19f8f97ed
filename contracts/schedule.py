"""Schedules: when runs are to be asked for, again and again, and what becomes of missed times.

Cron expressions are read by cronsim, as Debian's cron reads them, in a time zone: a time that the
clock skips in spring is made up for at once, one that comes twice in autumn fires once, while an
hourly or finer schedule goes by elapsed time. Pure: the clock is an argument.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import Field, StringConstraints, field_validator

from contracts.artifact import Scope
from contracts.fact import Fact, StrictFact
from contracts.request import Parameter, PipelineName, Requester, RunRequest

ScheduleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]

_COUNTED = 1000
"""Missed times that are counted; there may be more."""


class CatchUp(StrEnum):
    """What becomes of times that were missed because no dispatcher ran."""

    SKIP = "skip"  # nothing: the next time is soon enough
    ONCE = "once"  # one run, for the latest of them
    ALL = "all"  # a run for each of the latest, up to a bound


class Schedule(StrictFact):
    """A run of a pipeline, at each time of a cron expression."""

    name: ScheduleName
    cron: str = Field(max_length=200)
    """Five fields: minute, hour, day of month, month, day of week; six with seconds first."""
    zone: str = "UTC"
    """The IANA time zone that the expression means, e.g. `Europe/Berlin`."""
    pipeline: PipelineName
    parameters: dict[str, Parameter] = Field(default={}, max_length=100)
    """In texts, `{date}`, `{yesterday}` (YYYY-MM-DD), `{month}` (YYYY-MM) and `{time}` (ISO 8601)
    are those of the scheduled time, in the schedule's zone."""
    scope: Scope
    requester: Requester
    priority: int = Field(default=5, ge=0, le=9)
    flags: tuple[str, ...] = ()
    catch_up: CatchUp = CatchUp.ONCE
    most: int = Field(default=10, ge=1, le=1000)
    """With `all`: at most so many at once, the latest."""
    late: float = Field(default=60.0, ge=1, le=86_400)
    """Seconds after which a time counts as missed."""

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is not a time zone of the IANA database") from None
        return value

    @field_validator("cron")
    @classmethod
    def _cron_is_read(cls, value: str) -> str:
        try:
            CronSim(value, datetime(2000, 1, 1, tzinfo=UTC))
        except CronSimError as cause:
            raise ValueError(f"is not a cron expression: {cause}") from None
        return value

    def times(self, after: datetime) -> Iterator[datetime]:
        """The scheduled times after `after`, in UTC; none once there are no more."""
        zone = ZoneInfo(self.zone)
        return (at.astimezone(UTC) for at in CronSim(self.cron, after.astimezone(zone)))

    def next(self, after: datetime) -> datetime | None:
        """The first scheduled time after `after`, in UTC."""
        return next(self.times(after), None)

    def request(self, at: datetime, key: str) -> RunRequest:
        """What is asked for at the scheduled time `at`. Raises ValidationError."""
        return RunRequest(
            pipeline=self.pipeline,
            parameters={name: self._filled(value, at) for name, value in self.parameters.items()},
            scope=self.scope,
            requester=self.requester,
            key=key,
            priority=self.priority,
            flags=self.flags,
        )

    def _filled(self, value: Parameter, at: datetime) -> Parameter:
        if not isinstance(value, str):
            return value
        there = at.astimezone(ZoneInfo(self.zone))
        for name, stands_for in (
            ("{date}", there.date().isoformat()),
            ("{yesterday}", (there.date() - timedelta(days=1)).isoformat()),
            ("{month}", f"{there:%Y-%m}"),
            ("{time}", there.isoformat()),
        ):
            value = value.replace(name, stands_for)
        return value


class Due(Fact):
    """What a schedule that is due comes to."""

    fire: tuple[datetime, ...]
    """Times to ask for a run for, the earliest first."""
    skipped: int
    """Missed times that get no run; at most 1,000 are counted."""
    next: datetime | None


def due(schedule: Schedule, since: datetime, now: datetime) -> Due:
    """What to do at `now` about the times from `since` (the one that was due next) up to now."""
    zone = ZoneInfo(schedule.zone)
    # The latest first: a schedule by the second that slept for a year is not counted through.
    back = (
        at.astimezone(UTC)
        for at in CronSim(
            schedule.cron, (now + timedelta(seconds=1)).astimezone(zone), reverse=True
        )
    )
    passed: list[datetime] = []
    for at in takewhile(lambda at: at >= since, back):
        if at <= now:
            passed.append(at)
        if len(passed) >= _COUNTED:
            break
    in_time = [at for at in passed if (now - at).total_seconds() <= schedule.late]
    match schedule.catch_up:
        case CatchUp.SKIP:
            chosen = in_time[:1]
        case CatchUp.ONCE:
            chosen = passed[:1]
        case CatchUp.ALL:
            chosen = passed[: schedule.most]
    return Due(
        fire=tuple(reversed(chosen)), skipped=len(passed) - len(chosen), next=schedule.next(now)
    )


def key_of(schedule: str, at: datetime) -> str:
    """The idempotency key of one scheduled time: whoever asks, it is one run."""
    return f"schedule:{schedule}:{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
