"""The loads that the figures are for, and where the service times come from.

A day of work: `runs` of the shipped guarantee_report, each 38 tasks, over eight hours; a share of
them comes at once at every full hour, as schedules do. Times are seconds.
"""

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "docs" / "benchmarks.json"
SERVICE_TIMES = Path(__file__).with_name("service_times.json")
HOURS = 8
TASKS = {
    "mirror": 14,
    "normalize": 13,
    "validate": 2,
    "compute": 3,
    "publish": 2,
    "present": 3,
    "agent": 1,
}
"""Of one run, by lane: what `fleet demo` has."""
AT_ONCE = 0.25
"""The share of an hour's runs that a schedule asks for together."""
WAVE = 30.0
"""Seconds within which they come."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """`runs` a day, in eight hours."""

    name: str
    runs: int

    def a_second(self, lane: str) -> float:
        """Messages of a lane, on average over the hours."""
        return self.runs * TASKS[lane] / (HOURS * 3600)

    @property
    def tasks_a_second(self) -> float:
        return self.runs * sum(TASKS.values()) / (HOURS * 3600)

    def arrivals(self, lane: str, seconds: float, seed: int) -> list[float]:
        """Of one lane within `seconds`: a Poisson stream, and every hour's wave on top."""
        chance = random.Random(seed)
        steady = self.a_second(lane) * (1 - AT_ONCE)
        found: list[float] = []
        at = chance.expovariate(steady)
        while at < seconds:
            found.append(at)
            at += chance.expovariate(steady)
        wave = round(self.a_second(lane) * 3600 * AT_ONCE)
        for begin in range(0, int(seconds), 3600):
            found += [begin + 300 + chance.uniform(0, WAVE) for _ in range(wave)]
        return sorted(found)


STATED = Load(name="stated", runs=2_000)
TEN = Load(name="10x", runs=20_000)
THOUSAND = Load(name="1,000x", runs=2_000_000)


def service_times(path: Path = SERVICE_TIMES) -> Mapping[str, Sequence[float]]:
    """Measured times by lane, as `python -m bench.autoscale --measure` wrote them."""
    told = json.loads(path.read_text(encoding="utf-8"))
    times: dict[str, list[float]] = told["seconds"]
    return times


def assumed(path: Path = SERVICE_TIMES) -> Mapping[str, str]:
    """Lanes whose times nobody measured, and what is taken for them instead."""
    told: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["assumed"]
    return told


def ledger_tasks(path: Path = BENCHMARKS) -> float:
    """Tasks a second that a whole fleet over one ledger carried in `make bench`, with two workers:
    the ledger was not its limit, so that one ledger carries at least that."""
    rounds = json.loads(path.read_text(encoding="utf-8"))["peers"]["fleet"]["rounds"]
    return statistics.median(float(one["burn_down_2"]) for one in rounds)


def measured(url: str) -> dict[str, list[float]]:
    """Of a ledger: the times of attempts that succeeded, by lane."""
    from sqlalchemy import create_engine, select

    from fleet.ledger import tables

    a, t = tables.attempt.c, tables.task.c
    asked = (
        select(t.lane, a.started, a.ended)
        .join_from(tables.attempt, tables.task, a.task == t.task)
        .where(a.state == "succeeded", a.ended.is_not(None))
        .order_by(t.lane, a.started, a.task)
    )
    found: dict[str, list[float]] = {}
    engine = create_engine(url)
    with engine.connect() as connection:
        for row in connection.execute(asked):
            seconds = round((row.ended - row.started).total_seconds(), 3)
            found.setdefault(row.lane, []).append(seconds)
    engine.dispose()
    return found
