"""The bundle: only rules that were checked whole ever decide."""

import shutil
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import cedarpy
import pytest
from cedarpy import pst

from contracts.artifact import Audience, Tier
from contracts.lane import Lane, LaneTable
from fleet.lanes import load_lanes
from policies.bundle import BundleRefused, load_bundle
from policies.facts import FindingKind, Flag, System, Taint
from tests.policies.cases import RULES, the_lanes

Edit = Callable[[str], str]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    shutil.copytree(RULES, tmp_path / "rules")
    return tmp_path / "rules"


def edit(rules: Path, name: str, change: Edit) -> None:
    path = rules / "guardrails" / name
    path.write_text(change(path.read_text()))


def test_the_fleets_own_lanes_and_rules_are_good() -> None:
    """The packaged rules load with the packaged lanes, one permit for each lane and gate."""
    lanes = load_lanes()

    bundle = load_bundle(RULES, lanes)

    assert len(bundle.permits) == 3 * len(list(lanes))
    assert {rule.subject for rule in bundle.guardrails} == {
        path.stem for path in (RULES / "guardrails").glob("*.cedar")
    }


@pytest.mark.parametrize("words", [Tier, Audience, Flag, Taint, FindingKind, System])
def test_schema_and_facts_know_the_same_words(words: type[StrEnum]) -> None:
    """A word that Python accepts is one that rules can name, and no other."""
    schema = (RULES / "schema.cedarschema").read_text()
    listed = ", ".join(f'"{word}"' for word in words)

    assert f"entity {words.__name__} enum [{listed}];" in schema


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("agent.cedar", lambda t: t.replace(");", ";", 1).replace("}", "", 1), "agent.cedar"),
        ("agent.cedar", lambda t: t.replace("context.kind", "context.knd"), "knd"),
        ("agent.cedar", lambda t: t.replace('Taint::"ai"', 'Taint::"AI"'), "AI"),
        ("agent.cedar", lambda t: t.replace("forbid", "permit", 1), "permits"),
        ("agent.cedar", lambda t: t.replace("agent.never", "agent.always", 1), "is missing"),
        ("agent.cedar", lambda _: "", "must hold rules"),
        ("agent.cedar", lambda t: t.replace("@reason", "@note", 1), "@reason"),
        ("agent.cedar", lambda t: t + t, "two guardrails"),
        ("scope.cedar", lambda t: t.replace("scope.input", "agent.input"), "@id like scope."),
        (
            "scope.cedar",
            lambda t: t.replace("(principal,", "(principal == ?principal,"),
            "no templates",
        ),
    ],
)
def test_a_faulty_rule_refuses_the_whole_bundle(
    rules: Path, name: str, change: Edit, said: str
) -> None:
    """Syntax, misspelt facts and words, permits, lost, empty, doubled and unexplained rules."""
    edit(rules, name, change)

    with pytest.raises(BundleRefused, match=said):
        load_bundle(rules, the_lanes())


def test_every_fault_is_told_at_once(rules: Path) -> None:
    """Who mends a bundle sees all that is wrong with it."""
    edit(rules, "agent.cedar", lambda _: "")
    (rules / "guardrails" / "scope.cedar").write_bytes(b"\xff\xfe")

    with pytest.raises(BundleRefused) as refused:
        load_bundle(rules, LaneTable([Lane(name="odd", kinds=('x"] || true',), tenants=("A b",))]))

    told = "\n".join(refused.value.faults)
    for part in ("agent.cedar", "scope.cedar", "is not a stage kind", "is not a tenant"):
        assert part in told


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """Without rules there is no bundle."""
    with pytest.raises(BundleRefused, match="schema"):
        load_bundle(tmp_path, the_lanes())


def test_the_digest_changes_with_rules_and_lanes(rules: Path) -> None:
    """Two bundles that could decide differently have different digests; the same, the same."""
    first = load_bundle(rules, the_lanes()).digest
    wider = [
        lane if lane.name != "special" else Lane(name="special", kinds=lane.kinds)
        for lane in the_lanes()
    ]

    assert load_bundle(rules, the_lanes()).digest == first
    assert load_bundle(rules, LaneTable(wider)).digest != first
    edit(rules, "agent.cedar", lambda text: text + "// a remark\n")
    assert load_bundle(rules, the_lanes()).digest != first


def test_written_permits_read_back_as_they_were_meant() -> None:
    """A lane's permit names its lane, its gate and nothing else in its scope."""
    for permit in load_bundle(RULES, the_lanes()).permits:
        (policy,) = cedarpy.policies_to_pst(permit.cedar).static_policies.values()

        assert policy.effect == "permit"
        assert isinstance(policy.principal, pst.ScopeEq)
        assert isinstance(policy.action, pst.ActionEq)
        assert policy.action.entity.id == permit.gate
        assert policy.annotations["id"] == permit.id
