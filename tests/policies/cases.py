"""The cases of policies/cases/, and the lanes they are written for."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

import policies
from contracts.decision import Decision, Gate
from contracts.lane import Lane, LaneTable
from policies.facts import FACTS

POLICIES = Path(policies.__file__).parent
RULES = POLICIES / "rules"


def the_lanes() -> LaneTable:
    """Lanes like the fleet's own, with one that may write and one kept for a tenant."""
    return LaneTable(
        [
            Lane(name="mirror", kinds=("mirror.sql", "mirror.files")),
            Lane(name="compute", kinds=("compute.sql",)),
            Lane(name="publish", kinds=("publish.packet",)),
            Lane(name="present", kinds=("present.workbook", "present.json")),
            Lane(name="write", kinds=("write.back",), mutates=True),
            Lane(name="special", kinds=("special.sql",), tenants=("beta", "gamma")),
        ]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    gate: Gate
    facts: dict[str, Any]
    verdict: str
    rules: list[str]
    near: list[str] | None
    """None where the case says nothing about near misses."""

    def met_by(self, decision: Decision) -> bool:
        return (
            decision.verdict == self.verdict
            and sorted({reason.rule for reason in decision.reasons}) == self.rules
            and self.near in (None, [reason.rule for reason in decision.near_misses])
        )


def the_cases() -> list[Case]:
    cases: list[Case] = []
    for path in sorted((POLICIES / "cases").glob("*.yaml")):
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        cases += [
            Case(
                name=f"{table['gate']}: {case['name']}",
                gate=Gate(table["gate"]),
                facts=table["facts"] | case.get("with", {}),
                verdict=case["verdict"],
                rules=case["rules"],
                near=case.get("near", []),
            )
            for case in table["cases"]
        ]
    return cases


def the_matrix() -> list[Case]:
    """Every lane with every kind for three tenants, at each gate: allowed where the lane table
    says so, by that lane's permit alone."""
    harmless = {case.gate: case.facts for case in reversed(the_cases()) if case.verdict == "allow"}
    lanes = the_lanes()
    kinds = sorted(kind for lane in lanes for kind in lane.kinds)
    cases: list[Case] = []
    for gate, lane, kind, tenant in product(Gate, lanes, kinds, ("acme", "beta", "gamma")):
        facts = harmless[gate] | {"tenant": tenant, "kinds": [kind], "kind": kind}
        facts |= {
            "audience": "internal",
            "lane": lane.name,
            "input_tenants": [tenant],
            "artifact_tenant": tenant,
        }
        serves = lane.tenants == ("*",) or tenant in lane.tenants
        if gate is Gate.ADMIT and kind not in lane.kinds:
            continue  # no run is ever admitted to a lane that does not serve the kind
        allowed = kind in lane.kinds and serves
        cases.append(
            Case(
                name=f"{gate}: {kind} in {lane.name} for {tenant}",
                gate=gate,
                facts={name: facts[name] for name in FACTS[gate].model_fields},
                verdict="allow" if allowed else "deny",
                rules=[f"lane.{lane.name}.{gate}" if allowed else "default"],
                near=None,
            )
        )
    return cases
