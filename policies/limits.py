"""What rules measure against: a bundle's version, its working hours, the tenants' allowances.

Pure types and one reader of text. The clock is an argument.
"""

import tomllib
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator, model_validator

from contracts.allowance import Allowance
from contracts.artifact import Tenant
from contracts.fact import StrictFact

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class WorkingHours(StrictFact):
    """Days and times of one zone; `to` is later than `from` and not included."""

    days: tuple[Day, ...] = Field(min_length=1)
    begin: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    zone: str

    @field_validator("zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("is not a time zone") from None
        return name

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.end <= self.begin:
            raise ValueError("`to` must be later than `from`")
        return self

    def open_at(self, now: datetime) -> bool:
        """Whether `now` (aware) lies within them."""
        return _open_in_minute(self, int(now.timestamp()) // 60)

    def next_opening(self, now: datetime) -> datetime:
        """When they begin next, strictly after `now`; in the zone."""
        zone = ZoneInfo(self.zone)
        there = now.astimezone(zone)
        for ahead in range(9):
            day = there.date() + timedelta(days=ahead)
            opening = datetime.combine(day, time.fromisoformat(self.begin), zone)
            if _DAYS[day.weekday()] in self.days and opening > now:
                return opening
        raise AssertionError("a week has every day")


@lru_cache(
    maxsize=16
)  # asked for every task, and the same for a whole minute: zones have no seconds
def _open_in_minute(hours: WorkingHours, minute: int) -> bool:
    there = datetime.fromtimestamp(60 * minute, ZoneInfo(hours.zone))
    return _DAYS[there.weekday()] in hours.days and (
        hours.begin <= there.strftime("%H:%M") < hours.end
    )


class Limits(StrictFact):
    """The whole of bundle.toml."""

    version: int = Field(ge=1)
    working_hours: WorkingHours
    allowances: dict[Tenant | Literal["*"], Allowance] = {}
    """By tenant; `*` is for those that are not named."""

    def allowance(self, tenant: str) -> Allowance | None:
        """What a tenant may use; None where nothing limits it."""
        return self.allowances.get(tenant, self.allowances.get("*"))


def limits_of(text: str) -> Limits:
    """The limits that a bundle.toml says. Raises ValueError with every fault."""
    try:
        return Limits.model_validate(tomllib.loads(text))
    except ValidationError as faults:
        told = [
            f"{'.'.join(str(step) for step in fault['loc']) or 'it'}: {fault['msg']}"
            for fault in faults.errors(include_url=False, include_input=False)
        ]
        raise ValueError("; ".join(told)) from None
