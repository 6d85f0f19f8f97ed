"""What one tenant may use: at a time, and in a day. Pure types."""

from enum import StrEnum

from pydantic import Field

from contracts.decision import Decision
from contracts.fact import StrictFact


class Quota(StrEnum):
    """One limit of an allowance."""

    RUNS_IN_FLIGHT = "runs_in_flight"
    TASKS_PER_DAY = "tasks_per_day"
    COMPUTE_SECONDS_PER_DAY = "compute_seconds_per_day"


class Allowance(StrictFact):
    """The limits of one tenant; one that is left out does not limit. A day is a day of UTC, and a
    run counts to the day it was admitted on."""

    runs_in_flight: int | None = Field(default=None, ge=0)
    """Runs admitted and not ended."""
    tasks_per_day: int | None = Field(default=None, ge=0)
    compute_seconds_per_day: int | None = Field(default=None, ge=0)
    """From claim to record, of every attempt."""
    compute_seconds_a_run: int = Field(default=60, ge=0)
    """What a run counts for until it has ended and is known to have used more or less."""


def over_of(admitted: Decision) -> tuple[Quota, ...]:
    """The quotas that a decision at the admit gate was told there is no room in."""
    over = admitted.facts.get("over")
    return tuple(Quota(str(name)) for name in over) if isinstance(over, list) else ()
