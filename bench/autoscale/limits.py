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
UNITS = (1, 2, 4, 8, 16)
"""That a partition may have; a namespace that is not partitioned is one."""
PARTITIONS = (1, 2, 4)
"""Of a Premium namespace, said when it is made."""
LEDGER_SHARE = 0.5
"""Of what a ledger carries, that is asked of it in a wave."""


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
    shards: int
    """Fleets beside each other, a namespace and a ledger each: a fleet has one of both."""
    units: int
    """Premium messaging units of a shard's namespace, in all; 0 where Standard is enough."""
    partitions: int
    """Of a shard's namespace, over which the units are spread."""
    together: tuple[int, int]
    """Units and partitions of one namespace for all, if one ledger carried it."""
    gigabytes: float
    """Of ledger a day, in each shard."""
    busy_pods: int
    nodes: int


def need(
    load: Load,
    service: Mapping[str, Sequence[float]],
    concurrency: Mapping[str, int],
    ledger_tasks: float,
) -> Need:
    """What it needs, to the next whole one. `ledger_tasks`: a second, that one ledger carries.
    Raises ValueError for a load that no shard's namespace would carry.
    """
    tasks = load.tasks_a_second
    first = load.a_second("mirror") / TASKS["mirror"] * 2  # a run begins with two tasks
    peak = tasks + first * 3600 * AT_ONCE / WAVE
    operations = peak * OPERATIONS
    shards = max(1, math.ceil(peak / (ledger_tasks * LEDGER_SHARE)))
    standard = operations / shards <= STANDARD * 0.7
    units, partitions = (0, 1) if standard else premium(operations / shards)
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
        shards=shards,
        units=units,
        partitions=partitions,
        together=premium(operations),
        gigabytes=load.runs * sum(TASKS.values()) * LEDGER_BYTES / 1e9 / shards,
        busy_pods=busy,
        nodes=math.ceil(busy * 1.5 / 6),
    )


def premium(operations: float) -> tuple[int, int]:
    """Units in all, and partitions, of a Premium namespace for so many operations a second: the
    fewest units, and no more partitions than they need. Raises ValueError beyond the largest."""
    asked = operations * KIB / UNIT
    for partitions in PARTITIONS:
        for each in UNITS:
            if partitions * each >= asked:
                return partitions * each, partitions
    raise ValueError(f"{operations:,.0f} operations a second are more than one namespace carries")
