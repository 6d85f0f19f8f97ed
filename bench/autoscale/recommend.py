"""Least, most and messageCount of a lane for a load and a wait, by trying them in the model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.autoscale.loads import AT_ONCE, WAVE, Load
from bench.autoscale.model import Cluster, Lane, Told, World

SHARE = 0.95
"""Of the messages must wait less than the target."""
_SEEDS = (1, 2)
_SECONDS = 2 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to set, and what it came to. `met`: within the wait that was asked for."""

    lane: str
    least: int
    most: int
    messages: int
    wait: float
    worst: float
    pods: float
    """On average over the time."""
    nodes: float
    redelivered: int
    met: bool


def advise(lane: Lane, load: Load, wait: float, cluster: Cluster) -> Advice:
    """The cheapest setting, by pods and then by least, that keeps `SHARE` of the waits below
    `wait`; where none does, the one that comes nearest."""
    per_second = load.a_second(lane.name)
    busy = per_second * lane.mean / lane.concurrency
    """Pods that the average load keeps busy."""
    formula = max(1, math.floor(lane.concurrency * (1 + wait / lane.mean)))
    most = _most(load, lane, wait)
    tried = [
        _tried(replace(lane, least=least, most=most, messages=messages), load, cluster, wait)
        for least in sorted(
            {0, 1, math.ceil(busy), *(math.ceil(most * n / 4) for n in range(1, 5))}
        )
        for messages in sorted({formula, max(1, formula // 4)})
    ]
    met = [one for one in tried if one.met]
    if met:
        return min(met, key=lambda one: (round(one.pods, 1), one.least, -one.messages))
    return min(tried, key=lambda one: (one.wait, one.pods))


def _most(load: Load, lane: Lane, wait: float) -> int:
    """Enough to begin an hour's wave within its seconds and the wait, beside the steady stream."""
    a_second = load.a_second(lane.name)
    wave = a_second * 3600 * AT_ONCE / (WAVE + wait)
    return max(2, math.ceil((wave + a_second) * lane.mean / lane.concurrency * 1.2))


def _tried(lane: Lane, load: Load, cluster: Cluster, wait: float) -> Advice:
    told = [told_of(lane, load, cluster, seed) for seed in _SEEDS]
    found = max(one.wait(SHARE) for one in told)
    return Advice(
        lane=lane.name,
        least=lane.least,
        most=lane.most,
        messages=lane.messages,
        wait=found,
        worst=max(max(one.waits, default=0.0) for one in told),
        pods=_mean([one.pod_hours for one in told]) / (_SECONDS / 3600),
        nodes=_mean([one.node_hours for one in told]) / (_SECONDS / 3600),
        redelivered=sum(one.redelivered for one in told),
        met=found <= wait,
    )


def told_of(lane: Lane, load: Load, cluster: Cluster, seed: int, seconds: float = _SECONDS) -> Told:
    """One story of two hours."""
    return World(lane, cluster, seed).run(load.arrivals(lane.name, seconds, seed), seconds)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
