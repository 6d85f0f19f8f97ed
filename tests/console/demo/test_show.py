"""`fleet demo`, small."""

import json
import subprocess
from pathlib import Path

import pytest

from console.demo.show import DemoSummary
from tests.console.conftest import called

FIELDS = [
    "runs",
    "tasks",
    "succeeded",
    "failed",
    "seconds",
    "tasks_per_second",
    "artifacts",
    "discrepancies_planted",
    "discrepancies_found",
    "verified",
]
WELL = DemoSummary(
    runs=2,
    tasks=76,
    succeeded=2,
    failed=0,
    seconds=1.0,
    tasks_per_second=76.0,
    artifacts=98,
    discrepancies_planted=16,
    discrepancies_found=16,
    verified=True,
)


@pytest.mark.timeout(240)
def test_the_demo_works_and_works_again(tmp_path: Path) -> None:
    """Every run succeeds, every planted mistake is found, the bytes are the same; its last line is
    the summary; a stack that was kept is used by the next showing, and `down` stops it."""
    small = ("demo", "--clients", "2", "--lines", "2000", "--workers", "1")
    try:
        first = called(tmp_path, *small, "--keep", "--json")
        again = called(tmp_path, *small)
        runs = called(tmp_path, "runs", "--state", "succeeded", "--json")
    finally:
        down = called(tmp_path, "down")

    assert first.code == 0, first.err
    told = json.loads(first.out.splitlines()[-1])
    assert list(told) == FIELDS
    assert (told["runs"], told["succeeded"], told["failed"]) == (2, 2, 0)
    assert told["discrepancies_found"] == told["discrepancies_planted"] > 0
    assert told["verified"] is True
    assert again.code == 0, again.err
    assert "2 of 2 succeeded" in again.out
    assert len(runs.out.splitlines()) == 4
    assert (down.code, (tmp_path / "stack.json").exists()) == (0, False)
    for client in (tmp_path / "demo" / "artifacts").iterdir():
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=client, check=True)
        assert {".xlsx", ".pdf", ".json"} <= {path.suffix for path in client.rglob("*.*")}


@pytest.mark.parametrize(
    "change",
    [{"succeeded": 1, "failed": 1}, {"discrepancies_found": 15}, {"verified": False}],
)
def test_anything_amiss_is_not_well(change: dict[str, object]) -> None:
    """One failed run, one mistake not found, or different bytes: the demo did not go well."""
    assert WELL.went_well
    assert not WELL.model_copy(update=change).went_well
