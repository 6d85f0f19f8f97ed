"""A function in a fresh process, or here: what it gave, and what it cost."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class Call(Protocol):
    """`apart` or `here`."""

    def __call__(
        self, function: Callable[[_Given], _Made], given: _Given, /
    ) -> tuple[_Made, "Cost"]: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What DuckDB may take in a task: the fleet's and plain DuckDB's alike."""

    threads: int
    memory_mb: int


@dataclass(slots=True)
class Cost:
    """Wall and CPU seconds of tasks one after the other, and the worst peak of memory."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0

    def add(self, other: "Cost") -> None:
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.peak_mib = max(self.peak_mib, other.peak_mib)


def apart(function: Callable[[_Given], _Made], given: _Given) -> tuple[_Made, Cost]:
    """Call it there. Starting the process and its imports are not counted."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, function, given).result()


def here(function: Callable[[_Given], _Made], given: _Given) -> tuple[_Made, Cost]:
    """Call it in this process, whose peak of memory then is everybody's."""
    return _measured(function, given)


def _measured(function: Callable[[Any], _Made], given: Any) -> tuple[_Made, Cost]:
    import duckdb
    import pyarrow.parquet  # noqa: F401 - imported before the clock runs, as in a worker

    duckdb.connect(":memory:").close()
    began, cpu = time.perf_counter(), time.process_time()
    made = function(given)
    cost = Cost(time.perf_counter() - began, time.process_time() - cpu)
    cost.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return made, cost
