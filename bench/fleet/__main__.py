"""Leaf Fleet measured: `python -m bench.fleet MEASUREMENT [options]`; prints JSON lines.

burn-down   a backlog of no-op tasks, worked off; --shape runs (one task a run), fan, chain (of 7)
statements  ledger statements and commits for each task
rate        latency at a steady rate
idle        latency from HTTP submit to handler start, with an idle fleet
where       the parts of a worker's CPU, and what recording takes of a task's
size        what a claim, a record and spans cost in ledgers of --rows tasks
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.fleet.load import SHAPES
from bench.fleet.measure import (
    as_json,
    at_rate,
    burn_down,
    round_trips,
    when_idle,
    where_it_goes,
)
from bench.fleet.size import per_task


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "measurement",
        choices=(
            "burn-down",
            "statements",
            "where",
            "rate",
            "idle",
            "size",
        ),
    )
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shape", choices=SHAPES, default="runs")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--per-second", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between two submits")
    parser.add_argument("--rows", default="10000,1000000", help="for size: how many tasks, each")
    given = parser.parse_args()
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
            sys.stdout.write(_measured(given, Path(folder) / "home") + "\n")
            sys.stdout.flush()
    return 0


def _measured(given: argparse.Namespace, home: Path) -> str:
    match given.measurement:
        case "burn-down":
            return as_json(burn_down(home, given.shape, given.tasks, workers=given.workers))
        case "statements":
            return json.dumps(round_trips(home, given.shape, given.tasks))
        case "where":
            return json.dumps(where_it_goes(home, given.tasks))
        case "rate":
            return json.dumps(at_rate(home, given.per_second, given.seconds))
        case "size":
            home.mkdir()
            return json.dumps({n: per_task(home, int(n)) for n in given.rows.split(",")})
        case _:
            return json.dumps(when_idle(home, given.samples, given.pause))


if __name__ == "__main__":
    sys.exit(main())
