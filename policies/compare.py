"""Comparing two bundles: recorded requests decided by both, and what would change.

Pure. Requests are the facts of recorded decisions; each is given once, however often it was asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.decision import Cause, Decision, Gate
from contracts.fact import JsonObject
from policies.gate import PolicyGate


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that a gate was once given, and where."""

    gate: Gate
    facts: JsonObject
    facts_digest: str
    cause: Cause
    """Of the decision that was recorded."""
    place: str
    """One run or task that asked it."""
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A request that the two bundles decide differently: another verdict, or other rules."""

    asked: Asked
    old: Decision
    new: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`not_replayed`: recorded when other facts were asked for, so that neither can decide it."""

    replayed: int
    not_replayed: int
    changes: tuple[Change, ...]


def compare(asked: Iterable[Asked], old: PolicyGate, new: PolicyGate) -> Comparison:
    """Both bundles' decisions on every request, in the order given."""
    replayed, unreadable, changes = 0, 0, []
    for one in asked:
        before = old.decide_values(one.gate, one.facts)
        after = new.decide_values(one.gate, one.facts)
        if one.cause is not Cause.ERROR and before.cause is after.cause is Cause.ERROR:
            unreadable += 1
            continue
        replayed += 1
        if (before.verdict, _rules(before)) != (after.verdict, _rules(after)):
            changes.append(Change(asked=one, old=before, new=after))
    return Comparison(replayed=replayed, not_replayed=unreadable, changes=tuple(changes))


def _rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in decision.reasons}
