"""The rules, read and checked once: schema, guardrails, and the permits of the lanes.

Guardrails are files of `forbid` rules, one subject a file, each rule with an @id that begins with
the file's name and an @reason in plain words. Permits come from the lane table alone, so no file
of rules can allow anything. A bundle that is built decides; one with any fault is refused whole,
with every fault that was found, and whoever holds an older bundle keeps it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cedarpy
from cedarpy import pst

from contracts.decision import Gate
from contracts.lane import LaneTable
from policies.lane_permits import LanePermit, lane_faults, lane_permits
from policies.limits import Limits, limits_of

SCHEMA_FILE = "schema.cedarschema"
GUARDRAILS = "guardrails"
LIMITS_FILE = "bundle.toml"
REQUIRED = frozenset(
    {
        "agent.never_a_result_of_compute",
        "agent.never_an_input_of_compute",
        "approval.two_people",
        "audience.shows_only_what_was_published",
        "audience.work_in_progress_stays_inside",
        "hours.high_risk_while_people_are_there",
        "leaving.holds_a_secret",
        "leaving.not_scanned",
        "mutation.needs_permission",
        "onedrive.read_only",
        "quota.within_the_allowance",
        "scope.artifact_of_another_tenant",
        "scope.input_of_another_tenant",
    }
)
"""Guardrails that no bundle may lack: kept in code, for a folder cannot know what it lost."""
_RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")


class BundleRefused(ValueError):
    """The rules cannot be used. `faults` holds all that was found; no rule of them took effect."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the rules cannot be used:\n  " + "\n  ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, as people read it."""

    id: str
    reason: str
    gates: tuple[Gate, ...]
    subject: str
    """The file it stands in, or `lane` for a permit."""
    holds: bool = False
    """Whether it holds what it forbids, and does not deny it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Rules ready to decide. Immutable; may be shared between threads."""

    digest: str
    """SHA-256 over the files and the lanes, by name and content."""
    lanes: LaneTable
    limits: Limits
    guardrails: tuple[Rule, ...]
    permits: tuple[LanePermit, ...]
    reasons: dict[str, str]
    """Of every rule, by id."""
    schema: cedarpy.Schema
    rules: cedarpy.PolicySet
    firm: cedarpy.PolicySet
    """The rules without those that only hold."""
    holding: frozenset[str]
    """Guardrails with `@verdict("hold")`: what they forbid, an approval or the time may allow."""
    probes: cedarpy.PolicySet
    """The conditions of the permits one by one: see LanePermit.probes."""


def load_bundle(folder: Path, lanes: LaneTable, *, required: frozenset[str] = REQUIRED) -> Bundle:
    """Read and check the rules of a folder. Raises BundleRefused with every fault."""
    faults = [fault for lane in lanes for fault in lane_faults(lane)]
    files = _read(folder, faults)
    guardrails: list[Rule] = []
    for name, text in files.items():
        if name.endswith(".cedar"):
            guardrails += _guardrails(name, text, faults)
    known = [rule.id for rule in guardrails]
    faults += [f"two guardrails are called {name!r}" for name in sorted(_repeated(known))]
    faults += [f"the guardrail {name!r} is missing" for name in sorted(required - set(known))]
    permits = tuple(permit for lane in lanes for permit in lane_permits(lane))
    limits = _limits(files, faults)
    if faults or limits is None:
        raise BundleRefused(faults)
    text = "\n".join(
        [text for name, text in files.items() if name.endswith(".cedar")]
        + [permit.cedar for permit in permits]
    )
    try:
        schema = cedarpy.Schema.from_str(files[SCHEMA_FILE])
        faults += [str(fault) for fault in cedarpy.validate_policies(text, schema).errors]
        rules = cedarpy.PolicySet.from_str(text)
        probes = cedarpy.PolicySet.from_str("".join(permit.probes for permit in permits))
    except ValueError as fault:
        raise BundleRefused([*faults, f"{SCHEMA_FILE}: {fault}"]) from None
    if faults:
        raise BundleRefused(faults)
    holding = frozenset(rule.id for rule in guardrails if rule.holds)
    return Bundle(
        digest=_digest(files, lanes),
        lanes=lanes,
        limits=limits,
        guardrails=tuple(sorted(guardrails, key=lambda rule: rule.id)),
        permits=permits,
        reasons={rule.id: rule.reason for rule in guardrails}
        | {permit.id: permit.reason for permit in permits},
        schema=schema,
        rules=rules,
        firm=_without(rules, holding),
        holding=holding,
        probes=probes,
    )


def _read(folder: Path, faults: list[str]) -> dict[str, str]:
    """The texts of the schema, the limits and all guardrails, by name."""
    paths = [
        folder / SCHEMA_FILE,
        folder / LIMITS_FILE,
        *sorted((folder / GUARDRAILS).glob("*.cedar")),
    ]
    files: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            files[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            faults.append(f"{name} cannot be read: {getattr(fault, 'strerror', None) or fault}")
    return files


def _without(rules: cedarpy.PolicySet, names: frozenset[str]) -> cedarpy.PolicySet:
    policies = rules.to_pst().static_policies
    kept = {key: rule for key, rule in policies.items() if rule.annotations["id"] not in names}
    return cedarpy.PolicySet.from_pst(
        pst.PolicySet(templates={}, static_policies=kept, template_links=())
    )


def _limits(files: dict[str, str], faults: list[str]) -> Limits | None:
    if LIMITS_FILE not in files:
        return None
    try:
        return limits_of(files[LIMITS_FILE])
    except ValueError as fault:
        faults.append(f"{LIMITS_FILE}: {fault}")
        return None


def _guardrails(name: str, text: str, faults: list[str]) -> list[Rule]:
    try:
        policies = cedarpy.policies_to_pst(text)
    except ValueError as fault:
        faults.append(f"{name}: {fault}")
        return []
    if policies.templates or not policies.static_policies:
        faults.append(f"{name}: must hold rules, and no templates")
        return []
    subject = Path(name).stem
    rules: list[Rule] = []
    for policy in policies.static_policies.values():
        found = list(_rule_faults(policy, subject))
        faults += [f"{name}: {fault}" for fault in found]
        if not found:
            rules.append(
                Rule(
                    id=policy.annotations["id"],
                    reason=policy.annotations["reason"],
                    gates=_gates(policy.action),
                    subject=subject,
                    holds="verdict" in policy.annotations,
                )
            )
    return rules


def _rule_faults(policy: pst.Template, subject: str) -> Iterator[str]:
    name = policy.annotations.get("id", "")
    said = f"rule {name!r}" if name else "a rule"
    if policy.effect != "forbid":
        yield f"{said} permits; only lanes do"
    above, _, rest = name.partition(".")
    if above != subject or _RULE_NAME.fullmatch(rest) is None:
        yield f"{said} needs an @id like {subject}.what_it_forbids"
    verdict = policy.annotations.get("verdict")
    if verdict is not None and (verdict != "hold" or Gate.PUBLISH in _gates(policy.action)):
        yield f'{said}: a verdict can only be "hold", and not at publish'
    reason = policy.annotations.get("reason", "")
    if len(reason) < 20 or not reason.endswith("."):
        yield f"{said} needs an @reason, a whole sentence"


def _gates(action: pst.ActionConstraint) -> tuple[Gate, ...]:
    match action:
        case pst.ActionEq(entity=entity):
            named = {entity.id}
        case pst.ActionIn(entities=entities):
            named = {entity.id for entity in entities}
        case _:
            named = set(Gate)
    return tuple(gate for gate in Gate if gate in named)


def _repeated(names: list[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def _digest(files: dict[str, str], lanes: LaneTable) -> str:
    read_of_lanes = sorted(
        [lane.name, sorted(lane.kinds), sorted(lane.tenants), lane.mutates, lane.high_risk]
        for lane in lanes
    )
    whole = json.dumps([sorted(files.items()), read_of_lanes], separators=(",", ":"))
    return hashlib.sha256(whole.encode()).hexdigest()
