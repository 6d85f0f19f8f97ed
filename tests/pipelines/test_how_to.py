"""docs/how-to/write-a-pipeline.md: what it tells to write is written, and run."""

import json
import re
from pathlib import Path

import pytest

from contracts.payload import PayloadRegistry
from contracts.stage_payloads import PAYLOADS
from dispatcher.pipeline_folder import PipelineFolders
from tests.pipelines.harness import PIPELINES, run_pipeline

PAGE = PIPELINES.parent / "docs" / "how-to" / "write-a-pipeline.md"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that the page builds, from its blocks in the order of writing."""
    blocks = re.findall(r"```(yaml|sql|typst)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    names = {
        "yaml": ["pipeline.yaml", "rules/claims.yaml", "packets/late.yaml"],
        "sql": ["sql/typed.sql", "sql/late.sql"],
        "typst": ["templates/report.typ"],
    }
    for kind, paths in names.items():
        texts = [text for found, text in blocks if found == kind]
        for path, text in zip(paths, texts, strict=False):
            place = tmp_path / "pipelines" / "late_claims" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
    return tmp_path / "pipelines"


def test_the_page_builds_a_pipeline_that_runs(root: Path, tmp_path: Path) -> None:
    """The dispatcher accepts it, and it names the one claim that was paid late."""
    claims = tmp_path / "claims"
    claims.mkdir()
    (claims / "claims.csv").write_text(
        "claim_id,served,paid_on,paid\n"
        "a,2025-01-01,2025-01-15,10.00\n"
        "b,2025-01-01,2025-03-01,20.50\n"
        "c,2025-02-30,2025-03-01,1.00\n",
        encoding="utf-8",
    )

    PipelineFolders([root], PayloadRegistry(PAYLOADS)).load("late_claims")
    finished = run_pipeline(
        "late_claims", {"source": "claims"}, {"claims": str(claims)}, tmp_path / "run", root=root
    )

    (table,) = json.loads(finished.path("packet", "packet.json").read_text())["tables"]
    assert table["rows"] == [["b", "2025-01-01", 59, 2050]]
    assert finished.facts["checked", ""] == {"accepted": 2, "rejected": 1, "dates_are_real": 1} | (
        {"paid_after_service": 1}
    )
    assert finished.path("pdf", "late_claims.pdf").read_bytes().startswith(b"%PDF")
