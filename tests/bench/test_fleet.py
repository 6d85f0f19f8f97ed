"""The bench of the fleet measures a fleet: short, and no time is judged."""

from pathlib import Path

import pytest

from bench.fleet.measure import burn_down


@pytest.mark.parametrize("shape", ["runs", "chain"])
def test_a_backlog_is_worked_off_and_measured(tmp_path: Path, shape: str) -> None:
    """Every task is recorded, by real processes, and the parts' CPU is told for each."""
    measured = burn_down(tmp_path / "home", shape, 70, workers=1)

    assert measured.tasks == 70
    assert measured.per_second > 0
    assert set(measured.cpu_ms) == {"broker", "worker", "store"}
