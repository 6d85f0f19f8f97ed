"""The cases: facts with the verdict and the exact rules that must decide.

They are proof of a folder of rules: tests hold the packaged rules to them, and a process takes up
changed rules only when they hold. A folder of rules may bring its own, in `cases/`; else the
packaged ones are asked. Cases are written for lanes of their own, not for a fleet's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from contracts.decision import Decision, Gate
from contracts.lane import Lane, LaneTable
from policies.bundle import BundleRefused, load_bundle
from policies.gate import PolicyGate

PACKAGED = Path(__file__).parent / "cases"
_LANES = "lanes.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row: these facts at this gate get this verdict by these rules and no others."""

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


def cases_folder(rules: Path) -> Path:
    """Where the cases of a folder of rules are."""
    own = rules / "cases"
    return own if own.is_dir() else PACKAGED


def read_cases(folder: Path) -> list[Case]:
    """All cases of a folder. Raises OSError, ValueError, KeyError or TypeError for faulty files."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == _LANES:
            continue
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


def read_lanes(folder: Path) -> LaneTable:
    """The lanes that the cases of a folder are written for."""
    text = (folder / _LANES).read_text(encoding="utf-8")
    return LaneTable(Lane.model_validate(lane) for lane in yaml.safe_load(text))


def prove(rules: Path) -> None:
    """Hold a folder of rules to its cases. Raises BundleRefused naming each case that fails."""
    folder = cases_folder(rules)
    try:
        cases, lanes = read_cases(folder), read_lanes(folder)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as fault:
        raise BundleRefused([f"the cases cannot be read: {type(fault).__name__}"]) from None
    if not cases:
        raise BundleRefused(["there are no cases"])
    gate = PolicyGate(load_bundle(rules, lanes))
    failed = [
        f"the case {case.name!r} is decided otherwise"
        for case in cases
        if not case.met_by(gate.decide_values(case.gate, case.facts))
    ]
    if failed:
        raise BundleRefused(failed)
