"""The cases of policies/cases/, and the lanes they are written for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import policies
from contracts.decision import Decision, Gate
from contracts.lane import Lane, LaneTable

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
    near: list[str]

    def met_by(self, decision: Decision) -> bool:
        return (
            decision.verdict == self.verdict
            and sorted({reason.rule for reason in decision.reasons}) == self.rules
            and [reason.rule for reason in decision.near_misses] == self.near
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
