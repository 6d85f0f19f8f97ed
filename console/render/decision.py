"""Decisions and rules in plain words."""

import textwrap
from collections.abc import Iterable, Iterator

from console.render.marks import shown
from contracts.decision import Cause, Decision, Reason, Verdict
from policies.bundle import Bundle
from policies.compare import Comparison

_VERDICTS = {Verdict.ALLOW: "ALLOWED", Verdict.DENY: "DENIED", Verdict.HOLD: "HELD"}
_CAUSES = {
    Cause.PERMIT: "a lane's permit holds and no guardrail applies",
    Cause.FORBID: "a guardrail applies",
    Cause.NO_PERMIT: "no permit covers it, and nothing is allowed without one",
    Cause.ERROR: "the facts could not be judged, and what cannot be judged is denied",
    Cause.APPROVAL: "high-risk work waits for its approvals or its hours",
}
_WIDTH = 100


def explained(decision: Decision, place: str = "") -> str:
    """One decision: verdict, cause, rules with reasons, near misses, facts, bundle."""
    head = f"{_VERDICTS[decision.verdict]} at {decision.gate}"
    lines = [f"{head}{f' ({place})' if place else ''}: {_CAUSES[decision.cause]}"]
    lines += _reasons("because", decision.reasons)
    lines += _reasons("nearly", decision.near_misses)
    if decision.facts:
        lines.append("  facts")
        wide = max(len(name) for name in decision.facts)
        lines += [f"    {name:<{wide}}  {_value(v)}" for name, v in decision.facts.items()]
    lines.append(f"  rules {decision.bundle[:12]}, generation {decision.generation}")
    return "\n".join(lines)


def compared(comparison: Comparison) -> str:
    """What two bundles decide differently."""
    lines = []
    for change in comparison.changes:
        asked = change.asked
        times = "once" if asked.times == 1 else f"{asked.times} times"
        lines.append(f"{asked.gate} of {asked.place}, asked {times}")
        for word, decision in (("old", change.old), ("new", change.new)):
            rules = ", ".join(reason.rule for reason in decision.reasons)
            lines.append(f"  {word} {_VERDICTS[decision.verdict]:<8} {rules}")
    lines.append(f"{comparison.replayed} requests replayed, {len(comparison.changes)} change")
    if comparison.not_replayed:
        lines.append(f"{comparison.not_replayed} were recorded with other facts: not replayed")
    return "\n".join(lines)


def rules_shown(bundle: Bundle) -> str:
    """Guardrails by subject, then the lanes' permits."""
    lines = [f"rules {bundle.digest[:12]}", "", "never (guardrails)"]
    lines += _reasons(
        "", (Reason(rule=r.id, text=_at(r.reason, r.gates)) for r in bundle.guardrails)
    )
    lines += ["", "only (permits; nothing else is allowed)"]
    lines += _reasons("", (Reason(rule=p.id, text=p.reason) for p in bundle.permits))
    return "\n".join(lines)


def _at(reason: str, gates: Iterable[str]) -> str:
    return f"{reason} [{', '.join(gates)}]"


def _reasons(word: str, reasons: Iterable[Reason]) -> Iterator[str]:
    for reason in reasons:
        yield f"  {word} {reason.rule}" if word else f"  {reason.rule}"
        yield from textwrap.wrap(
            reason.text, _WIDTH, initial_indent="    ", subsequent_indent="    "
        )


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return shown(", ".join(str(item) for item in value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return shown(str(value))
