"""A small edition of the demo's input, made once, and real data where it is at hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.demo.inputs import DemoInputs, make_inputs

SHARED = Path(__file__).parents[3] / "shared" / "data"

Elsewhere = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoInputs:
    """Three clients with two thousand lines each."""
    return make_inputs(tmp_path_factory.mktemp("demo"), clients=3, lines=6_000)


def shared(name: str) -> str:
    """A folder of real data, or a skip that says it is absent."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"../shared/data/{name} is not here")
    return str(folder)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    """Runs a pipeline in a process, folder and time zone of its own; gives the digests."""

    def run(pipeline: str, zone: str, **wishes: Any) -> dict[str, str]:
        folder = tmp_path / "elsewhere" / zone.replace("/", "_")
        folder.mkdir(parents=True)
        done = subprocess.run(
            [
                *(sys.executable, "-W", "error", "-m", "tests.pipelines.elsewhere"),
                *(pipeline, str(folder), json.dumps(wishes)),
            ],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": "7", "LC_ALL": "C"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        digests: dict[str, str] = json.loads(done.stdout)
        return digests

    return run
