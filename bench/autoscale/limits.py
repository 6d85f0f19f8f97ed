"""What a load asks of bus, ledger and nodes, against what each of them carries. Arithmetic."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.autoscale.loads import AT_ONCE, TASKS, WAVE, Load

OPERATIONS = 4
"""Of the bus for a task: sent, received, renewed once, completed."""
STANDARD = 1_000
"""Operations a second of a Standard namespace: its credits, one for each operation on data
(Microsoft's page on throttling)."""
KIB = 4
"""Of a task's message, envelope and properties: measured on the demo, rounded up."""
UNIT = 4_096
"""KiB/s of a Premium messaging unit: Microsoft's rule of thumb, in and out together. Measure."""
LEDGER_BYTES = 13_000
"""That a task leaves in the ledger, spans and log lines included: the demo's file by its tasks."""
MOST_UNITS = 16
"""Of one namespace."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Of one load."""

    load: str
    runs: int
    tasks: float
    """A second, on average."""
    peak: float
    """A second, while a wave's first tasks come."""
    operations: float
    namespaces: int
    units: int
    """Premium messaging units of each namespace; 0 where Standard is enough."""
    ledgers: int
    gigabytes: float
    """Of ledger a day."""
    busy_pods: int
    nodes: int


def need(
    load: Load,
    service: Mapping[str, Sequence[float]],
    concurrency: Mapping[str, int],
    ledger_tasks: float,
) -> Need:
    """What it needs, to the next whole one. `ledger_tasks`: a second, that one ledger carries."""
    tasks = load.tasks_a_second
    first = load.a_second("mirror") / TASKS["mirror"] * 2  # a run begins with two tasks
    peak = tasks + first * 3600 * AT_ONCE / WAVE
    operations = peak * OPERATIONS
    standard = operations <= STANDARD * 0.7
    units = 2 ** math.ceil(math.log2(max(1.0, operations * KIB / UNIT)))
    busy = sum(
        math.ceil(load.a_second(lane) * sum(times) / len(times) / concurrency[lane])
        for lane, times in service.items()
    )
    return Need(
        load=load.name,
        runs=load.runs,
        tasks=tasks,
        peak=peak,
        operations=operations,
        namespaces=1 if standard else math.ceil(units / MOST_UNITS),
        units=0 if standard else min(units, MOST_UNITS),
        ledgers=max(1, math.ceil(peak / (ledger_tasks * 0.5))),
        gigabytes=load.runs * sum(TASKS.values()) * LEDGER_BYTES / 1e9,
        busy_pods=busy,
        nodes=math.ceil(busy * 1.5 / 6),
    )
