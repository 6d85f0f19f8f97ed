"""`fleet policy`: decisions explained, tried by hand and replayed through other rules."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.fact import JsonObject
from contracts.ids import task_id
from tests.console.conftest import Fleet
from tests.console.ledgers import Home
from tests.policies.cases import RULES

FACTS: JsonObject = {
    "lane": "compute",
    "kind": "compute.sql",
    "stage": "totals",
    "tenant": "acme",
    "audience": "internal",
    "requester": "ada",
    "flags": [],
    "mutates": False,
    "input_taints": [],
    "input_tenants": ["acme"],
    "input_audiences": ["internal"],
    "systems": ["sql"],
    "high_risk": False,
    "approvers": [],
    "working_hours": True,
}


def facts_file(folder: Path, **changes: Any) -> str:
    path = folder / "facts.json"
    path.write_text(json.dumps(FACTS | changes))
    return str(path)


def test_every_decision_of_a_task_is_explained(fleet: Fleet, home: Home) -> None:
    """`policy explain` tells verdict, rule, reason and the rules' digest of each gate in turn."""
    task = task_id(home.run(1), "mirror")

    done = fleet("policy", "explain", task)

    assert done.code == 0
    assert done.out.index("ALLOWED at admit") < done.out.index("ALLOWED at execute")
    assert "because permit.lane" in done.out
    assert "this is why" in done.out
    assert "generation 0" in done.out


def test_a_denied_run_is_explained_by_its_id(fleet: Fleet, home: Home) -> None:
    """A run that was denied has no tasks; its own decision says why."""
    run = home.run(1, denied=True)

    (told,) = [
        json.loads(line) for line in fleet("policy", "explain", run, "--json").out.splitlines()
    ]

    assert (told["gate"], told["verdict"]) == ("admit", "deny")


def test_facts_are_tried_by_hand(fleet: Fleet, tmp_path: Path) -> None:
    """Allowed is exit 0; denied is exit 1 and names the rule in words."""
    good = fleet("policy", "try", facts_file(tmp_path), "--gate", "execute")
    bad = fleet("policy", "try", facts_file(tmp_path, input_taints=["ai"]), "--gate", "execute")

    assert (good.code, bad.code) == (0, 1)
    assert "agent.never_an_input_of_compute" in bad.out
    assert "What an agent wrote" in bad.out


def test_near_misses_and_missing_facts_are_told(fleet: Fleet, tmp_path: Path) -> None:
    """What would have allowed it, and which fact is missing."""
    near = fleet("policy", "try", facts_file(tmp_path, lane="mirror"), "--gate", "execute")
    (tmp_path / "facts.json").write_text('{"lane": "compute"}')
    missing = fleet("policy", "try", str(tmp_path / "facts.json"), "--gate", "execute")

    assert "nearly lane.compute.execute" in near.out
    assert "kind: Field required" in missing.out


def test_facts_come_from_stdin_with_their_gate(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `explain --json` printed can be tried again as it is."""
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"gate": "execute", "facts": FACTS})))

    done = fleet("policy", "try", "-", "--json")

    assert json.loads(done.out)["verdict"] == "allow"


def test_without_a_gate_nothing_is_decided(fleet: Fleet, tmp_path: Path) -> None:
    """A wrong or missing gate is wrong usage, exit 2."""
    assert fleet("policy", "try", facts_file(tmp_path)).code == 2
    assert fleet("policy", "try", facts_file(tmp_path), "--gate", "exit").code == 2


def test_what_other_rules_would_change_is_listed(fleet: Fleet, home: Home, tmp_path: Path) -> None:
    """`policy diff` replays recorded facts through both folders: exit 1 where any changes."""
    home.facts = FACTS
    home.run(1)
    stricter = tmp_path / "stricter"
    shutil.copytree(RULES, stricter)
    scope = stricter / "guardrails" / "scope.cedar"
    scope.write_text(
        scope.read_text()
        + '\n@id("scope.closed")\n@reason("Nothing of this tenant runs for now.")\n'
        + 'forbid (principal, action == Action::"execute", resource == Tenant::"acme");\n'
    )

    same = fleet("policy", "diff", str(RULES), str(RULES))
    done = fleet("policy", "diff", str(RULES), str(stricter))
    (change,) = fleet("policy", "diff", str(RULES), str(stricter), "--json").out.splitlines()

    assert (same.code, done.code) == (0, 1)
    assert "scope.closed" in done.out
    told = json.loads(change)
    assert (told["old"]["verdict"], told["new"]["verdict"], told["times"]) == ("allow", "deny", 4)


def test_the_rules_are_shown_in_words(fleet: Fleet) -> None:
    """Every guardrail with its reason, and every lane's permits."""
    done = fleet("policy", "show")

    assert "What is presented to a tenant's people" in done.out
    assert "lane.compute.execute" in done.out


def test_faulty_rules_are_refused_with_every_fault(fleet: Fleet, tmp_path: Path) -> None:
    """Exit 2 and the faults, not a traceback."""
    done = fleet("policy", "show", "--rules", str(tmp_path))

    assert done.code == 2
    assert "schema.cedarschema" in done.err
