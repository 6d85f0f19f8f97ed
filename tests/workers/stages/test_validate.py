"""validate.rules: splitting rows, counting per rule, and failing hard."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from contracts.artifact import Tier
from contracts.outcome import Failed, Produced
from contracts.stage_payloads import ValidateRules
from tests.pipelines.harness import run_stage, workbench
from tests.workers.stages.benches import fault_of, file_of, table_input
from workers.stages.handler import Workbench

CLAIMS: list[dict[str, Any]] = [
    {"paid": 5, "id": "a", "client": "x"},
    {"paid": None, "id": "b", "client": "x"},
    {"paid": -1, "id": "c", "client": "x"},
    {"paid": 5, "id": "a", "client": "x"},
]
RULES = """
keys: [id]
rules:
  - {name: paid_is_known, severity: error, message: No amount., check: paid IS NOT NULL}
  - {name: paid_is_positive, severity: error, message: Negative., check: paid >= 0}
  - name: single
    severity: error
    message: Twice.
    check: row_number() OVER (PARTITION BY id ORDER BY paid) = 1
  - {name: paid_is_large, severity: warning, message: Small., check: paid > 100}
  - {name: one_client, severity: hard, message: Another client., check: client = $client}
"""


def validate(folder: Path, rules: str, rows: list[dict[str, Any]], **values: str) -> Workbench:
    """A workbench for validate.rules over the table `claims`."""
    return workbench(
        ValidateRules(rules="rules.yaml", table="claims", parameters=dict(values)),
        folder / "scratch",
        inputs={"claims": (table_input(folder, "claims", "rows.parquet", rows),)},
        files=file_of(folder, "rules.yaml", rules),
    )


def test_bad_rows_are_split_off_with_their_rules(tmp_path: Path) -> None:
    """Good rows go on; each bad row is kept as evidence with the names of the rules it broke."""
    made = run_stage(validate(tmp_path, RULES, CLAIMS, client="x"))

    assert isinstance(made, Produced)
    by_name = {output.name: output for output in made.outputs}
    assert pq.read_table(by_name["accepted.parquet"].path).to_pylist() == [
        {"id": "a", "paid": 5, "client": "x"}
    ]
    rejected = pq.read_table(by_name["rejected.parquet"].path).to_pylist()
    assert [(row["id"], row["broken"]) for row in rejected] == [
        ("a", "single"),
        ("b", "paid_is_known, paid_is_positive"),
        ("c", "paid_is_positive"),
    ]
    assert by_name["rejected.parquet"].tier is Tier.EVIDENCE


def test_every_rule_is_counted(tmp_path: Path) -> None:
    """rules.json counts the rows that broke each rule, warnings and kept rules too."""
    made = run_stage(validate(tmp_path, RULES, CLAIMS, client="x"))

    assert isinstance(made, Produced)
    (report,) = (output.path for output in made.outputs if output.name == "rules.json")
    content = json.loads(report.read_text(encoding="utf-8"))
    assert (content["accepted"], content["rejected"]) == (1, 3)
    assert {rule["name"]: rule["broken"] for rule in content["rules"]} == {
        "paid_is_known": 1,
        "paid_is_positive": 2,
        "single": 1,
        "paid_is_large": 4,
        "one_client": 0,
    }


def test_a_hard_rule_fails_with_the_evidence(tmp_path: Path) -> None:
    """Nothing is accepted; the rows and the counts come along as evidence."""
    made = run_stage(validate(tmp_path, RULES, CLAIMS, client="y"))

    assert isinstance(made, Failed)
    assert (made.fault.kind, made.fault.code) == ("bad_input", "rule.broken")
    assert "Another client." in made.fault.message
    assert made.fault.facts == {"one_client": 4}
    assert {output.name for output in made.evidence} == {"rejected.parquet", "rules.json"}
    assert {output.tier for output in made.evidence} == {Tier.EVIDENCE}


def test_a_rule_about_the_whole_set_keeps_its_rows(tmp_path: Path) -> None:
    """A query's rows are the evidence of a rule that no single row breaks."""
    rules = """
keys: [id]
rules:
  - name: enough
    severity: hard
    message: Too few.
    rows: SELECT count(*) AS n FROM candidates HAVING count(*) < 10
"""
    made = run_stage(validate(tmp_path, rules, CLAIMS))

    assert isinstance(made, Failed)
    (kept,) = (output for output in made.evidence if output.name == "broken_enough.parquet")
    assert pq.read_table(kept.path).to_pylist() == [{"n": 4}]


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ("keys: [id", "rules.refused"),
        ("keys: [id]\nrules: []", "rules.refused"),
        ("keys: [id]\nrules: [{name: a, severity: odd, message: m, check: a}]", "rules.refused"),
        ("keys: [id]\nrules: [{name: a, severity: hard, message: m}]", "rules.refused"),
        (
            "keys: [id]\nrules: [{name: a, severity: error, message: m, rows: SELECT 1}]",
            "rules.refused",
        ),
        (
            "keys: [id]\nrules: [{name: a, severity: error, message: m, check: absent = 1}]",
            "sql.failed",
        ),
        (
            "keys: [id]\nrules: [{name: a, severity: error, message: m, check: random() < 1}]",
            "sql.not_deterministic",
        ),
        (
            "keys: [id]\nrules: [{name: a, severity: error, message: m, check: 'true), (1'}]",
            "rules.refused",
        ),
        (
            "keys: [absent]\nrules: [{name: a, severity: error, message: m, check: 'true'}]",
            "sql.failed",
        ),
    ],
)
def test_rules_that_cannot_be_checked_are_refused(tmp_path: Path, rules: str, code: str) -> None:
    """The fault names the rules file; nothing is taken for kept."""
    _, found, message = fault_of(validate(tmp_path, rules, CLAIMS))

    assert found == code
    assert str(tmp_path) not in message
