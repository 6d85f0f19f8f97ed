"""A worker killed in the middle of the demo."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from console.stack.record import StackRecord
from contracts.states import State
from fleet.lanes import LANES_FILE
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import WorkerRow
from tests.console.conftest import PROJECT, environment
from tests.console.waiting import until

LEASE = 3
"""Seconds that the killed worker keeps its attempts: the lanes' own would keep the test waiting."""


@pytest.mark.timeout(240)
def test_a_kill_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """After `kill -9` of a busy worker it is started again, every run succeeds, and each task has
    succeeded once and each of its artifacts is recorded once."""
    lanes = tmp_path / "lanes.toml"
    lanes.write_text(LANES_FILE.read_text().replace("kinds =", f"lease = {LEASE}\nkinds ="))
    home = tmp_path / "home"
    demo = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "console.cli",
            "demo",
            "--clients",
            "3",
            "--lines",
            "3000",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home, {"FLEET_LANES_FILE": str(lanes)}),
        cwd=PROJECT,
    )
    assert demo.stderr is not None
    for line in demo.stderr:
        if "submitted" in line:
            break
    with LedgerReader(f"sqlite:///{home / 'ledger.db'}") as reader:
        until(lambda: any(worker.running for worker in reader.workers()))
        busy = next(worker for worker in reader.workers() if worker.running)

        os.kill(_process_of(busy, home), signal.SIGKILL)

        told, said = demo.communicate(timeout=200)
        assert demo.returncode == 0, said
        assert json.loads(told.splitlines()[-1])["succeeded"] == 3
        assert "was ended by SIGKILL; starting it again" in said
        for run in reader.runs():
            ends = Counter(
                row.task for row in reader.history(run.run) if row.new is State.SUCCEEDED
            )
            assert set(ends.values()) == {1}
            made = Counter((row.task, row.pointer.name) for row in reader.artifacts(run.run))
            assert set(made.values()) == {1}


def _process_of(worker: WorkerRow, home: Path) -> int:
    """The stack's process that goes by this worker's name, which holds its process id."""
    record = StackRecord.model_validate_json((home / "stack.json").read_bytes())
    return next(mark.pid for mark in record.processes if f"-{mark.pid}-" in worker.worker)
