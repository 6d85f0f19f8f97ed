"""Kill the bus under load and say whether it kept what it promised; ends with 1 when it did not."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.localbus.chaos.rounds import run_rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.localbus.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = run_rounds(Path(folder), arguments.rounds, arguments.seed, print)
    for line in wrong:
        print(line)
    print(f"{len(wrong)} promises broken in {arguments.rounds} rounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
