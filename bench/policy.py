"""What a decision costs: cold (a bundle's first), fresh (new facts), cached (facts seen before).

`python -m bench.policy` prints a table. Packaged rules and lanes; the cases that allow, at each
gate. `as the executor asks`: an `execute` decision with the gathering of its facts. `start of a
run`: its transaction in the ledger, without and with an allowance to reserve from. `share` sets
what a no-op task spends on its gates (execute as the executor asks, and a publish) against what one
task costs altogether, given with --task-ms: take it from `bench.fleet burn-down` on this machine.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import policies
from bench.fleet.noop import KIND, LANE, Noop
from contracts.allowance import Allowance
from contracts.decision import Gate
from contracts.envelope import Envelope
from contracts.ids import run_id
from contracts.lane import Lane, LaneTable
from contracts.payload import PayloadRegistry
from contracts.plan import RunGraph, StagePlan
from contracts.request import RunRequest
from fleet.clock import SystemClock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import NewRun
from policies.bundle import Bundle, load_bundle
from policies.facts import FACTS
from policies.gate import PolicyGate
from policies.proof import PACKAGED, prove, read_cases, read_lanes
from workers.execute_facts import execute_facts
from workers.site import Site

RULES = Path(policies.__file__).parent / "rules"
_ROUNDS = 400
_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


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
    figures["execute: as the executor asks"] = _as_asked()
    return figures | asyncio.run(_starts())


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


def _as_asked() -> float:
    """Of a no-op task, whose kind names no source."""
    lane = Lane(name=LANE, kinds=(KIND,))
    envelope = Envelope.model_validate(
        {
            "run": str(uuid.UUID(int=1)),
            "task": str(uuid.UUID(int=2)),
            "stage": "noop",
            "kind": KIND,
            "version": 1,
            "lane": LANE,
            "attempt": 1,
            "pipeline": "bench",
            "scope": {"tenant": "acme"},
            "requester": "bench",
            "deadline": _NOW + timedelta(hours=1),
            "created": _NOW,
            "body": {"payload": Noop().model_dump()},
        }
    )
    gate = PolicyGate(load_bundle(RULES, LaneTable([lane])))
    known = SimpleNamespace(
        gate=gate,
        registry=PayloadRegistry([Noop]),
        clock=SystemClock(),
        sources_file=Path("no-sources.toml"),
    )
    site = cast(Site, known)  # all of a site that facts are gathered from

    def ask(_: int) -> object:
        decision = gate.decide_values(Gate.EXECUTE, execute_facts(envelope, lane, site))
        assert decision.allowed, decision.reasons
        return decision

    return microseconds(ask)


async def _starts() -> dict[str, float]:
    """One run after the other, each in a transaction of its own, on SQLite."""
    graph = RunGraph(stages=(StagePlan(name="noop", kind=KIND, version=1, lane=LANE, payload={}),))
    request = RunRequest.model_validate(
        {"pipeline": "bench", "scope": {"tenant": "acme"}, "requester": "bench"}
    )
    gate = PolicyGate(load_bundle(RULES, read_lanes(PACKAGED)))
    allowed = next(case for case in read_cases(PACKAGED) if case.verdict == "allow")
    admitted = gate.decide_values(allowed.gate, allowed.facts)
    wide = Allowance(runs_in_flight=100_000, tasks_per_day=1_000_000)
    figures = {}
    for name, allowance in (("no allowance", None), ("an allowance", wide)):
        with tempfile.TemporaryDirectory() as folder:
            async with await Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
                taken = []
                for number in range(_ROUNDS):
                    new = NewRun(
                        run=run_id(_NOW, number.to_bytes(10)),
                        request=request,
                        graph=graph,
                        admitted=admitted,
                        submitted=_NOW,
                        deadline=_NOW + timedelta(hours=1),
                        allowance=allowance,
                    )
                    begun = time.perf_counter_ns()
                    await ledger.start_run(new)
                    taken.append((time.perf_counter_ns() - begun) / 1000)
        figures[f"start of a run: {name}"] = statistics.median(taken)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.policy", description=__doc__)
    parser.add_argument("--task-ms", type=float, help="what one no-op task costs, in milliseconds")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measured()
    if given.task_ms:
        for how in ("cached", "fresh facts"):
            execute = "as the executor asks" if how == "cached" else how
            spent = figures[f"execute: {execute}"] + figures[f"publish: {how}"]
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
