"""The benchmarks work: a handful of tasks and lines, no time judged."""

import json
import subprocess
import sys
from pathlib import Path

from bench import results
from bench.page import page
from bench.targets import targets


def run(module: str, *options: str) -> str:
    """What `python -m MODULE` prints; it must end well."""
    command = [sys.executable, "-m", module, *options]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_task_of_a_short_bench_is_recorded() -> None:
    """`python -m bench.peers --quick` runs tasks through Leaf Fleet and the SDK alone."""
    said = run("bench.peers", "--quick")

    assert said.splitlines() == [
        "Leaf Fleet: 50 tasks recorded",
        "azure-servicebus alone: 50 tasks recorded",
    ]


def test_the_data_stages_and_plain_duckdb_are_measured_side_by_side(tmp_path: Path) -> None:
    """`python -m bench.data` gives the cost of each stage for both, on the same lines."""
    said = json.loads(run("bench.data", "--quick", "--folder", str(tmp_path), "--json"))

    [once] = said["rounds"]
    assert once["fleet"].keys() == once["duckdb"].keys()
    assert all(cost["cpu_seconds"] > 0 for who in once.values() for cost in who.values())


def test_the_page_of_benchmarks_is_made_of_the_committed_figures() -> None:
    """docs/benchmarks.md is what docs/benchmarks.json gives, targets that are not met included."""
    found = results.read()

    shown = (results.FILE.parent / "benchmarks.md").read_text(encoding="utf-8")

    assert shown == page(found)
    medians = {name: results.median(one["rounds"]) for name, one in found["peers"].items()}
    assert all(target.what in shown for target in targets(medians, {}))
