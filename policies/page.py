"""docs/reference/policy.md, written from the rules and the facts themselves.

`python -m policies.page > docs/reference/policy.md` writes it anew; a test says when it is stale.
"""

import sys
from pathlib import Path
from typing import Any

from contracts.decision import Cause, Gate
from contracts.lane import LaneTable
from policies.bundle import GUARDRAILS, Rule, load_bundle
from policies.facts import FACTS

_HEAD = """\
# Policy

Every task is allowed for a stated reason. Three gates decide, each on a fixed list of facts, by
rules written in [Cedar](https://www.cedarpolicy.com/) in `policies/rules/`. Nothing is allowed
without a permit; any guardrail that applies denies, whatever permits; and so does any error, a
missing or misspelt fact included. The decision is stored with the task: verdict, cause, the ids and
reasons of the deciding rules, the facts, and the digest of the rules.

This page is written by `python -m policies.page` from the rules and the facts.
"""

_CAUSES = {
    Cause.PERMIT: "Allowed: a lane's permit holds and no guardrail applies.",
    Cause.FORBID: "Denied: every guardrail that applied is named.",
    Cause.NO_PERMIT: "Denied: no permit covers it (reason `default`). Near misses name the permits "
    "that lack one condition, and which.",
    Cause.APPROVAL: "Held: only guardrails that hold stand in its way, and each is named.",
    Cause.ERROR: "Denied: a fact is missing, unknown or malformed (reason `facts`), or the rules "
    "could not be evaluated (reason `error`).",
}

_GATES = {
    Gate.ADMIT: "In the dispatcher, before a run has tasks. Asked for every lane that the run's "
    "stages use; all must allow. Asked again where the ledger has no room in the tenant's "
    "allowance, and while the run is held.",
    Gate.EXECUTE: "In the worker, before a task's handler runs.",
    Gate.PUBLISH: "In the worker, for each file that a handler made, before it is stored as an "
    "artifact.",
}

_LANES = """\
## Permits

Each lane of `fleet/lanes.toml` has one permit at each gate, `lane.<lane>.<gate>`, written from the
file when the rules are loaded. It asks for three things: that the task is in that lane, that its
stage kind is one of the lane's `kinds`, and, where the lane names `tenants`, that the tenant is one
of them. No file of rules can permit anything.
"""

_CHANGING = """\
## Changing the rules

A rule is a `forbid` in a file of `policies/rules/guardrails/`, one subject a file, with an `@id`
that begins with the file's name and an `@reason` that is a whole sentence. Rules that misspell a
fact or a word, lack either, permit something, or lack a guardrail that must be there are refused
whole, with every fault named. `policies/cases/` holds facts with the verdict and the exact rules
that must decide; the tests also drop and twist every rule and condition, and fail where no case
notices.

A guardrail with `@verdict("hold")` holds what it forbids: the task waits for approvals or for its
hours, a run for room in its tenant's allowance, if that is all that stands in its way.

Every change needs a higher `version` in `bundle.toml`, where the working hours and the tenants'
allowances are, too. Dispatcher and workers look for changed files every few seconds. They read them
aside, check them, hold them to their cases (those in `cases/` beside the rules, else the packaged
ones) and swap them in at once; rules with any fault leave the old ones in force, and each process
logs why. The version travels in the envelope as its generation: a worker with older rules than
those that admitted a run gives its tasks back.
"""


def policy_page(folder: Path) -> str:
    """The page about the rules in `folder`. Raises BundleRefused."""
    bundle = load_bundle(folder, LaneTable([]))
    parts = [_HEAD, "## Causes\n"]
    parts += [f"- `{cause}`: {text}" for cause, text in _CAUSES.items()]
    parts.append("\n## Gates and their facts")
    for gate, text in _GATES.items():
        parts += [f"\n### {gate}\n\n{text}\n", "| fact | values |", "| --- | --- |"]
        schema = FACTS[gate].model_json_schema()
        for name, shape in schema["properties"].items():
            parts.append(f"| `{name}` | {_values(shape, schema)} |")
    parts.append("\n## Guardrails")
    for path in sorted((folder / GUARDRAILS).glob("*.cedar")):
        rules = [rule for rule in bundle.guardrails if rule.subject == path.stem]
        parts += [f"\n### {path.stem}\n\n{_opening(path)}\n", *(_told(rule) for rule in rules)]
    return "\n".join([*parts, "", _LANES, _CHANGING])


def _told(rule: Rule) -> str:
    return f"- `{rule.id}` ({', '.join(rule.gates)}): {rule.reason}"


def _opening(path: Path) -> str:
    """The comment that a file of rules begins with."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("//"):
            break
        lines.append(line.removeprefix("//").strip())
    return " ".join(lines)


def _values(shape: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in shape:
        shape = schema["$defs"][shape["$ref"].rsplit("/", 1)[1]]
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    if "const" in shape:
        return f"`{shape['const']}`"
    match shape["type"]:
        case "array":
            return f"any of: {_values(shape['items'], schema)}"
        case "boolean":
            return "`true`, `false`"
        case "integer":
            highest = f" to {shape['maximum']}" if "maximum" in shape else " or more"
            return f"{shape['minimum']}{highest}"
        case _:
            return "a name"


if __name__ == "__main__":
    sys.stdout.write(policy_page(Path(__file__).parent / "rules"))
