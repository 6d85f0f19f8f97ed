"""The cases of policies/cases/, and every lane with every kind beside them."""

from itertools import product
from pathlib import Path

import policies
from contracts.decision import Gate
from contracts.lane import LaneTable
from policies.facts import FACTS
from policies.proof import PACKAGED, Case, read_cases, read_lanes

RULES = Path(policies.__file__).parent / "rules"


def the_lanes() -> LaneTable:
    return read_lanes(PACKAGED)


def the_cases() -> list[Case]:
    return read_cases(PACKAGED)


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
            "approvers": ["ada", "grace"],
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
