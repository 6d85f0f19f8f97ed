"""Input that others wrote, its known truths, and the same bytes wherever and whenever it runs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fleet.artifacts.folder import FolderStore
from fleet.ledger.rows import ArtifactRow
from tests.e2e.conftest import PROJECT, Home, a_home

DATA = PROJECT.parent / "shared" / "data"
EXAMPLES = PROJECT / "pipelines" / "guarantee_report" / "examples" / "tuva"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


@needs_data
def test_the_reconciliation_equals_the_known_truths(tmp_path: Path) -> None:
    """To the cent, on Synthea claims: one command on a fresh home, which starts its own stack."""
    home = a_home(tmp_path / "home")

    told = home.fleet(*_reconciliation(DATA / "synthea"))

    assert told["state"] == "succeeded"
    (packet,) = _page(home, told, "claims_reconciliation.json")["packets"]
    figures = {figure["label"]: figure["value"] for figure in packet["figures"]}
    assert figures["Charged"] == 109_240_273
    assert figures["Paid"] == 110_350_395
    assert "in 1545 charges and paid 1,103,503.95 in 1843 payments" in packet["summary"]["text"]
    named = next(t for t in packet["tables"] if t["name"] == "unreconciled")
    assert len(named["rows"]) == figures["Claims that do not reconcile"] == 190


@needs_data
def test_the_same_run_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    """Other home, other folder of the same input, other time zone, other time: every artifact,
    the PDF and the workbook included, has the same digest."""
    made = []
    for name, zone in (("one", "Pacific/Kiritimati"), ("two", "America/Los_Angeles")):
        source = tmp_path / name / "synthea"
        shutil.copytree(DATA / "synthea", source)
        told = a_home(tmp_path / name / "home").fleet(*_reconciliation(source), TZ=zone)
        made.append(
            {(a["stage"], a["pointer"]["name"]): a["pointer"]["digest"] for a in told["artifacts"]}
        )

    assert made[0] == made[1]
    assert {name.rsplit(".", 1)[1] for _, name in made[0]} >= {"pdf", "xlsx", "json", "parquet"}


@needs_data
def test_a_guarantee_that_cannot_be_computed_is_reported_as_that(tmp_path: Path) -> None:
    """Tuva's pharmacy claims have no AWP: not computable, with the reason, and never zero."""
    home = a_home(tmp_path / "home")

    told = home.fleet(
        *("submit", "guarantee_report", "--wait", "--tenant", "medicare"),
        *("--param", f"source={DATA / 'tuva'}", "--param", f"documents={EXAMPLES}"),
        *("--param", "client=medicare", "--param", "layout=tuva"),
    )

    assert told["state"] == "succeeded"
    page = _page(home, told, "guarantee_report.json")
    assert "not computable" in json.dumps(page).casefold()
    assert "awp" in json.dumps(page).casefold()


def _reconciliation(source: Path) -> tuple[str, ...]:
    return ("submit", "claims_reconciliation", "--wait", "--param", f"source={source}")


def _page(home: Home, told: Any, name: str) -> Any:
    """A presented JSON page of a run."""
    rows = [ArtifactRow.model_validate(artifact) for artifact in told["artifacts"]]
    (pointer,) = (row.pointer for row in rows if row.pointer.name == name)
    return json.loads(FolderStore(home.folder / "artifacts").read(pointer))
