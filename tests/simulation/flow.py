"""What operators and owners do to a story: limits, pauses, urgency, cancellations of every kind."""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Literal

from contracts.limit import Limit


class How(StrEnum):
    """How a story is cancelled, if it is."""

    RUN = "run"
    RUN_BY_FORCE = "run by force"
    TASK = "task"
    TASK_BY_FORCE = "task by force"

    @property
    def force(self) -> bool:
        return self in (How.RUN_BY_FORCE, How.TASK_BY_FORCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """One pause: of the lane or of the pipeline, both of which are called sim. Seconds."""

    what: Literal["lane", "pipeline"]
    at: float
    length: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPlan:
    """The flow of one story."""

    limits: tuple[Limit, ...] = ()
    """Of the lane."""
    pauses: tuple[Paused, ...] = ()
    """One after the other."""
    priority: int = 5
    how: How = How.RUN

    @property
    def looked_after(self) -> bool:
        """Whether workers look at the flow, and the dispatcher wakes: they do in every fleet; where
        nothing is limited, paused or urgent they find nothing, and it costs the simulation most."""
        return bool(self.limits or self.pauses) or self.priority > 5


_LIMITS = (
    Limit(running=1),
    Limit(running=2),
    Limit(key="{stage}", running=1),
    Limit(key="{partition}", running=1),
    Limit(starts=6, per="minute"),
    Limit(starts=1, per="second"),
)


def a_flow(seed: int) -> FlowPlan:
    """Of twenty stories three have limits, two are paused, one is urgent."""
    chance = Random(f"flow {seed}")
    limits = chance.sample(_LIMITS, chance.choice([0] * 17 + [1, 1, 2]))
    pauses = [
        Paused(
            what=chance.choice(("lane", "pipeline")),
            at=chance.uniform(0, 60),
            length=chance.uniform(1, 200),
        )
        for _ in range(chance.choice([0] * 18 + [1, 2]))
    ]
    return FlowPlan(
        limits=tuple(limits),
        pauses=tuple(pauses),
        priority=chance.choice([5] * 19 + [9]),
        how=chance.choice(tuple(How)),
    )
