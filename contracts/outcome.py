"""How an attempt ended: what the handler produced, or the fault that stopped it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pydantic import JsonValue

from contracts.artifact import Tier
from contracts.fact import Fact, JsonObject


class FaultKind(StrEnum):
    """What kind of fault; `policies.retry` decides what follows from it."""

    TRANSIENT = "transient"  # trying again can help
    PERMANENT = "permanent"  # it cannot
    BAD_INPUT = "bad_input"  # the data broke a hard rule
    DENIED = "denied"  # a policy said no
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    PARKED = "parked"  # unknown kind or version: a newer worker may know it


class Fault(Fact):
    """Why nothing was produced: a stable code for grouping, words for people."""

    kind: FaultKind
    code: str
    """Stable, lower case, dotted: `source.unreachable`."""
    message: str
    """For operators. Holds no secret and no local path."""
    facts: JsonObject = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a handler made and that is not yet an artifact."""

    name: str
    path: Path
    media_type: str
    tier: Tier
    rows: int | None = None
    taints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """The handler did its work. `partitions` feeds a stage that fans out over this one."""

    outputs: tuple[Output, ...] = ()
    partitions: tuple[str, ...] | None = None
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    """Small counts and totals, shown with the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The handler produced nothing to go on with. `evidence` is stored; nothing else is."""

    fault: Fault
    evidence: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The worker is stopping: the task is released and no attempt is spent."""


Outcome = Produced | Failed | Interrupted
