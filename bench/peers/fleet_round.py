"""One round of Leaf Fleet, by the harness of bench.fleet, in the words of the peers' figures."""

import tempfile
from pathlib import Path
from typing import Any

from bench.fleet.measure import at_rate, burn_down, round_trips, when_idle, where_it_goes
from bench.peers.measure import Size
from bench.peers.send import STAGES

_COUNTED = 2_000
_SAMPLES = 100
_PAUSE = 0.3


def fleet_burn_down(tasks: int) -> float:
    """Tasks a second of one backlog."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as name:
        return burn_down(Path(name), "runs", tasks).per_second


def fleet_round(size: Size) -> dict[str, Any]:
    """Every figure; each on a fleet of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as name:
        homes = (Path(name) / str(number) for number in range(10))
        one = burn_down(next(homes), "runs", size.tasks)
        two = burn_down(next(homes), "runs", size.tasks, workers=2)
        chains = burn_down(next(homes), "chain", size.chains * STAGES)
        counted = round_trips(next(homes), "runs", min(size.tasks, _COUNTED))
        figures: dict[str, Any] = {
            "burn_down": one.per_second,
            "burn_down_2": two.per_second,
            "enqueue": one.enqueued_per_second,
            "chain_stages": chains.per_second,
            "cpu_ms": one.cpu_ms,
            "memory_mib": one.peak_mib,
            "per_task": counted | {"round_trips": counted["statements"] + counted["commits"]},
            "latency_50": at_rate(next(homes), int(size.rate), size.seconds),
            "latency_half": at_rate(next(homes), int(one.per_second / 2), size.seconds),
            "idle": when_idle(next(homes), _SAMPLES, _PAUSE),
        } | where_it_goes(next(homes), size.tasks)
    return figures
