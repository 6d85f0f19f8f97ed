"""`python -m tests.simulation --seeds 10000`: tell as many stories, and say which one broke.

With `--planted`, plant each bug in turn instead, and say which of 200 seeds finds it.
"""

import argparse
import multiprocessing
import os
import sys
import time

from tests.simulation.planted import PLANTED, WITHIN, found
from tests.simulation.tally import Tally, settled_in, told


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--planted", action="store_true")
    given = parser.parse_args()
    if given.planted:
        return planted(given.jobs)
    began, tally = time.monotonic(), Tally()
    parts = [
        range(first, min(first + 100, given.first + given.seeds))
        for first in range(given.first, given.first + given.seeds, 100)
    ]
    with multiprocessing.get_context("spawn").Pool(given.jobs, initializer=settled_in) as pool:
        for part in pool.imap_unordered(told, parts):
            tally.add(part)
    lines = [
        f"{tally.stories} stories in {time.monotonic() - began:.0f} s,"
        f" {tally.seconds / 3600:.0f} virtual hours, {tally.handlers} handlers run",
        "ended: " + ", ".join(f"{state} {n}" for state, n in sorted(tally.states.items())),
        "faults: " + ", ".join(f"{fault} {n}" for fault, n in sorted(tally.faults.items())),
        f"broken: {len(tally.broken)}",
    ]
    lines += [f"  seed {seed}: {why[:300]}" for seed, why in sorted(tally.broken)[:20]]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if tally.broken else 0


def planted(jobs: int) -> int:
    """Each bug with the seed that finds it first, and the rule that it broke."""
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        results = pool.map(found, PLANTED, chunksize=1)
    lines = ["| planted bug | found by seed | as |", "| --- | ---: | --- |"]
    for bug, one in zip(PLANTED, results, strict=True):
        seed, why = (f"none of {WITHIN}", "") if one is None else (str(one.seed), one.broken)
        lines.append(f"| {bug} | {seed} | {why.partition(': ')[0][:80]} |")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if None in results else 0


if __name__ == "__main__":
    sys.exit(main())
