"""What a decision costs: cold (a bundle's first), fresh (new facts), cached (facts seen before).

`python -m bench.policy` prints a table. Packaged rules and lanes; the cases that allow, at each
gate. `share` sets the two decisions of a no-op task (execute, publish) against what one task costs
altogether, given with --task-ms: take it from a throughput run on the same machine.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import policies
from contracts.decision import Gate
from policies.bundle import Bundle, load_bundle
from policies.facts import FACTS
from policies.gate import PolicyGate
from policies.proof import PACKAGED, prove, read_cases, read_lanes

RULES = Path(policies.__file__).parent / "rules"
_ROUNDS = 400


def microseconds(action: Callable[[int], object], rounds: int = _ROUNDS) -> float:
    """The median of so many calls, each told its number."""
    taken = []
    for number in range(rounds):
        begun = time.perf_counter_ns()
        action(number)
        taken.append((time.perf_counter_ns() - begun) / 1000)
    return statistics.median(taken)


def measured() -> dict[str, float]:
    """Microseconds by name."""
    lanes = read_lanes(PACKAGED)
    allowed = {case.gate: case.facts for case in read_cases(PACKAGED) if case.verdict == "allow"}
    figures = {
        "bundle read and checked": microseconds(lambda _: load_bundle(RULES, lanes), 10),
        "bundle held to its cases": microseconds(lambda _: prove(RULES), 5),
    }
    bundle = load_bundle(RULES, lanes)
    for gate in Gate:
        figures |= _of_gate(gate, allowed[gate], bundle)
    return figures


def _of_gate(gate: Gate, facts: dict[str, Any], bundle: Bundle) -> dict[str, float]:
    word = "requester" if "requester" in FACTS[gate].model_fields else "media_type"
    warm = PolicyGate(bundle)

    def cold(_: int) -> object:
        return PolicyGate(bundle).decide_values(gate, facts)

    def fresh(number: int) -> object:
        return warm.decide_values(gate, facts | {word: f"{word}-{number}"})

    def cached(_: int) -> object:
        return warm.decide_values(gate, facts)

    return {
        f"{gate}: cold": microseconds(cold, 50),
        f"{gate}: fresh facts": microseconds(fresh),
        f"{gate}: cached": microseconds(cached),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__)
    parser.add_argument("--task-ms", type=float, help="what one no-op task costs, in milliseconds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measured()
    if given.task_ms:
        for how in ("cached", "fresh facts"):
            spent = figures[f"execute: {how}"] + figures[f"publish: {how}"]
            figures[f"share of a task, {how} (%)"] = spent / given.task_ms / 10
    if given.json:
        sys.stdout.write(json.dumps({name: round(us, 1) for name, us in figures.items()}) + "\n")
    else:
        for name, us in figures.items():
            unit = "" if name.endswith("(%)") else " us"
            sys.stdout.write(f"{name:<36}{us:>12,.1f}{unit}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
