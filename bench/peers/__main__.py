"""Leaf Fleet beside its peers: a table, the targets, docs/benchmarks.json and the page made of it.

examples:
  python -m bench.peers                          everybody, medians of 5
  python -m bench.peers --only fleet,saq --rounds 1 --no-write
  python -m bench.peers --quick                  some tasks through ours and the SDK; judges no time

A peer that is measured again takes its old place in docs/benchmarks.json; the others stay.
"""

import argparse
import os
import signal
import sys
from typing import Any

from bench import page, results
from bench.peers import servers
from bench.peers.contestants import BIN, CONTESTANTS, Contestant, named
from bench.peers.fleet_round import fleet_burn_down, fleet_round
from bench.peers.measure import Size, one_burn_down, one_round
from bench.targets import targets, verdict

_QUICK = 50


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", help="names with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--add", action="store_true", help="to the rounds that are kept already")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each latency at a rate")
    parser.add_argument("--tasks", type=int, help="of each burn-down, at most")
    parser.add_argument("--install", action="store_true", help="servers by apt-get, as root")
    parser.add_argument("--no-write", action="store_true", help="leave docs/ as they are")
    parser.add_argument("--quick", action="store_true", help="a handful of tasks, nothing written")
    return parser


def main() -> int:
    given = arguments().parse_args()
    # Told to end, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    contestants = named(given.only or ("fleet,raw-sdk" if given.quick else None))
    _provide(contestants, install=given.install)
    if given.quick:
        return _quick(contestants)
    found = results.read()
    if given.no_write:
        found["peers"] = {}
    if not given.add:
        for contestant in contestants:
            found["peers"].pop(contestant.name, None)
    # By turns: what else the machine does in the hour that this takes hits everybody alike.
    for number in range(given.rounds):
        for contestant in contestants:
            sys.stderr.write(f"{contestant.title}, round {number + 1} of {given.rounds} ...\n")
            _measure(contestant, found["peers"], given)
            if not given.no_write:
                results.write(found)
                page.made(results.read())
    _say(found)
    return 0


def _provide(contestants: list[Contestant], *, install: bool) -> None:
    """The servers that these need. Exits with what to do where one is not installed."""
    needed = {server.package for c in contestants for server in c.servers if server.package}
    absent = [package for package in servers.missing() if package in needed]
    if absent and install and os.geteuid() == 0:
        servers.install(absent)
    elif absent:
        sys.exit(
            f"not installed: {', '.join(absent)}. As root: make bench BENCH=--install, or "
            f"apt-get install {' '.join(absent)}; or leave peers out with --only"
        )


def _quick(contestants: list[Contestant]) -> int:
    """Whether everything still works: some tasks through each, until all are recorded."""
    for contestant in contestants:
        if contestant.name == "fleet":
            fleet_burn_down(_QUICK)
        else:
            one_burn_down(contestant, _QUICK)
        sys.stdout.write(f"{contestant.title}: {_QUICK} tasks recorded\n")
    return 0


def _measure(contestant: Contestant, peers: dict[str, Any], given: argparse.Namespace) -> None:
    """One more round of a peer, kept with what was measured and where."""
    tasks = min(given.tasks or contestant.tasks, contestant.tasks)
    size = Size(tasks=tasks, chains=contestant.chains, seconds=given.seconds)
    where = results.circumstances()
    of = fleet_round(size) if contestant.name == "fleet" else one_round(contestant, size)
    sys.stderr.write(
        f"  {of['burn_down']:,.0f} tasks/s, 2 processes {of['burn_down_2']:,.0f},"
        f" chain stages {of['chain_stages']:,.0f}/s\n"
    )
    libraries = None
    if contestant.apart:
        libraries = next((BIN.parent / "lib").glob("python3*/site-packages"))
    rounds = peers.get(contestant.name, {"rounds": []})["rounds"]
    peers[contestant.name] = where | {
        "version": results.version(contestant.distribution, libraries),
        "tasks": size.tasks,
        "chains": size.chains,
        "rounds": [*rounds, of],
    }


def _say(found: results.Results) -> None:
    """The table and the targets."""
    medians = {
        contestant.name: results.median(found["peers"][contestant.name]["rounds"])
        for contestant in CONTESTANTS
        if contestant.name in found["peers"]
    }
    out = sys.stdout.write
    out(f"{'':28}{'tasks/s':>9}{'2 proc':>9}{'enqueue':>9}{'chain':>8}{'p99 ms at 50/s':>16}\n")
    for contestant in CONTESTANTS:
        if of := medians.get(contestant.name):
            p99 = of["latency_50"]["sent_to_recorded"]["p99"]
            out(
                f"{contestant.title:28}{of['burn_down']:9,.0f}{of['burn_down_2']:9,.0f}"
                f"{of['enqueue']:9,.0f}{of['chain_stages']:8,.0f}{p99:16.1f}\n"
            )
    data = found["data"].get("parquet")
    stages = (results.median(data["rounds"]), data["lines"]) if data else ({}, 0)
    for target in targets(medians, *stages):
        out(f"{verdict(target):13}{target.what}: {target.figure}, wanted {target.wanted}\n")


if __name__ == "__main__":
    sys.exit(main())
