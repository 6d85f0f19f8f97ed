"""`python -m tests.chaos --rounds 50`: do harm to real processes, print what it came to."""

import argparse
import itertools
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tests.chaos.rig import a_rig
from tests.chaos.rounds import FAULTS, Line, one_round, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--only", help="a part of the faults' names")
    given = parser.parse_args()
    chosen = [name for name in FAULTS if not given.only or given.only in name]
    lines: defaultdict[str, Line] = defaultdict(Line)
    with tempfile.TemporaryDirectory(prefix="chaos") as folder, a_rig(Path(folder) / "home") as rig:
        for number, name in zip(range(given.rounds), itertools.cycle(chosen), strict=False):
            verdict, struck, seconds = one_round(rig, name)
            lines[name].add(verdict, struck, seconds)
            hit = "struck" if struck else "missed"
            sys.stdout.write(f"{number + 1:3} {name}: {hit}, {seconds:.1f} s\n")
            for wrong in (*verdict.lost, *verdict.doubled, *verdict.illegal):
                sys.stdout.write(f"    {wrong}\n")
            sys.stdout.flush()
    sys.stdout.write(table(lines.items()) + "\n")
    return 1 if any(line.lost or line.doubled or line.illegal for line in lines.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
