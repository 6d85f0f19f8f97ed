"""Decisions: what a policy gate said, by which rules, on which facts."""

import functools
from enum import StrEnum

from contracts.artifact import Sha256
from contracts.fact import Fact, JsonObject


class Gate(StrEnum):
    """Where a decision is asked for."""

    ADMIT = "admit"  # the dispatcher, before a run exists
    EXECUTE = "execute"  # the worker, before a handler runs
    PUBLISH = "publish"  # an artifact, before it is stored for its audience


class Verdict(StrEnum):
    """What was decided. Nothing but a permit allows."""

    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"  # an approval may still allow it


class Cause(StrEnum):
    """Which way the verdict came about."""

    PERMIT = "permit"
    FORBID = "forbid"
    NO_PERMIT = "no_permit"
    ERROR = "error"  # a fact was missing or malformed: any error denies
    APPROVAL = "approval"  # high-risk work without its approvals


class Reason(Fact):
    """One rule that decided, or nearly did, in plain words."""

    rule: str
    text: str


class Decision(Fact):
    """A gate's answer, recorded with the task it was given for."""

    gate: Gate
    verdict: Verdict
    cause: Cause
    reasons: tuple[Reason, ...]
    """The deciding rules, sorted by id; never empty."""
    near_misses: tuple[Reason, ...] = ()
    """For `no_permit`: the permits that would have applied but for one condition."""
    facts: JsonObject
    """What the rules read, allow-listed."""
    facts_digest: Sha256
    bundle: Sha256
    """Digest of the rules that decided."""
    generation: int = 0

    @functools.cached_property
    def text(self) -> str:
        """JSON without defaults, as it is recorded. Many tasks share a decision: made once."""
        return self.model_dump_json(exclude_defaults=True)

    @property
    def allowed(self) -> bool:
        return self.verdict is Verdict.ALLOW
