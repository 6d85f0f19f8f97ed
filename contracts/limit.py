"""Limits on what runs at the same time, or starts in a span of time; and the slots that they give.

A `Limit` is what an owner writes in lanes.toml or pipeline.yaml. Its key, filled in for one task,
names a `Slot`: leave to run. The ledger counts slots (fleet.ledger.slots). Pure.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from contracts.fact import Fact, StrictFact

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
FIELDS = ("tenant", "audience", "requester", "pipeline", "stage", "kind", "lane", "partition")
"""What a key may name, between braces."""
LONGEST_KEY = 200

_NAMED = re.compile(r"(?<!\$)\{([^{}]*)\}")


class Limit(StrictFact):
    """At most so many at once, or so many starts in a span, for each value of `key`."""

    key: str = Field(default="", max_length=120)
    """`{tenant}` counts each tenant apart; without a key all are counted together."""
    running: int | None = Field(default=None, ge=1, le=100_000)
    """Tasks at the same time, in the whole fleet."""
    starts: int | None = Field(default=None, ge=1, le=1_000_000)
    """Tasks begun in each `per`, evenly spaced."""
    per: Literal["second", "minute", "hour", "day"] = "second"
    shared: bool = False
    """Count together with every limit of the fleet that is shared and has the same key."""

    @field_validator("key")
    @classmethod
    def _names_what_there_is(cls, value: str) -> str:
        for name in _NAMED.findall(value):
            if name not in FIELDS:
                raise ValueError(f"{{{name}}} is unknown; there are {', '.join(FIELDS)}")
        return value

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.running is None and self.starts is None:
            raise ValueError("say running (at the same time) or starts (with per), or both")
        if self.shared and not self.key:
            raise ValueError("a shared limit needs a key: what is counted together")
        return self


class Slot(Fact):
    """Leave to run, by the key it is counted under."""

    key: str = Field(max_length=LONGEST_KEY)
    running: int | None = None
    starts: int | None = None
    per: int = 1
    """Seconds."""


def slot_of(limit: Limit, place: str, values: Mapping[str, str]) -> Slot:
    """The slot of a limit written at `place` (`lane/mirror`). What `values` lacks stays as it is
    written, for `filled` to fill in later."""
    key = _fill(limit.key, values)
    return Slot(
        key=_fitted(f"shared/{key}" if limit.shared else f"{place}/{key}".rstrip("/")),
        running=limit.running,
        starts=limit.starts,
        per=SECONDS[limit.per],
    )


def filled(slot: Slot, values: Mapping[str, str]) -> Slot:
    """The slot with what only the task knows: its partition."""
    return slot.model_copy(update={"key": _fitted(_fill(slot.key, values))})


def merged(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """Each key once: where two limits come to the same key, what both allow.

    Starts are evenly spaced, so that the slower of two rates keeps to the faster one as well.
    """
    found: dict[str, Slot] = {}
    for slot in slots:
        one = found.get(slot.key, slot)
        slower = max(one, slot, key=lambda each: each.per / each.starts if each.starts else 0)
        runs = [each.running for each in (one, slot) if each.running is not None]
        found[slot.key] = slower.model_copy(update={"running": min(runs, default=None)})
    return tuple(found.values())


def _fill(key: str, values: Mapping[str, str]) -> str:
    return _NAMED.sub(lambda found: values.get(found[1], found[0]), key)


def _fitted(key: str) -> str:
    """At most LONGEST_KEY characters, and still one for each value."""
    if len(key) <= LONGEST_KEY:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: LONGEST_KEY - 33]}#{digest}"
