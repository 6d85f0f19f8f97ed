"""A fleet of real processes on the loopback: bus, workers that wait for a word, a dispatcher.

Everything lies in one folder; processes are ended by their ids.
"""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.fleet.noop import KIND, LANE
from bench.fleet.process import children, cpu_seconds, peak_mib
from bench.fleet.worker import GO
from console.stack.components import LocalBus, bus_connection
from console.stack.process import Child, Component, kill_group, stop
from fleet.bus.admin import BusAdmin
from fleet.lanes import load_lanes

CONCURRENCY = 512
_PATIENCE = 60.0
_LANES = f"""\
[{LANE}]
kinds = ["{KIND}"]
mode = "async"
concurrency = %d
"""
_PIPELINE = f"""\
name: noop
version: 1
description: One task that does nothing.
stages:
  - {{name: s0, kind: {KIND}}}
"""


@dataclass(frozen=True)
class Fleet:
    """The processes of one measurement."""

    home: Path
    bus: Child
    workers: list[Child]
    dispatcher: Child | None
    connection: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def http_port(self) -> int:
        """Of the dispatcher."""
        ready = self.home / "logs" / "dispatcher.ready"
        return int(json.loads(ready.read_text(encoding="utf-8"))["http_port"])

    def go(self) -> None:
        """The workers may begin."""
        (self.home / "go").touch()

    def cpu(self) -> dict[str, float]:
        """Seconds by `worker` (all of them), `store` (what writes their ledger), `broker`,
        `dispatcher`."""
        spent = {
            "broker": cpu_seconds(self.bus.mark.pid),
            "worker": sum(cpu_seconds(worker.mark.pid) for worker in self.workers),
            "store": sum(cpu_seconds(writer) for writer in self._writers),
        }
        if self.dispatcher is not None:
            spent["dispatcher"] = cpu_seconds(self.dispatcher.mark.pid)
        return spent

    def peaks(self) -> dict[str, float]:
        """MiB by part, of all its processes."""
        return {
            "broker": peak_mib(self.bus.mark.pid),
            "worker": sum(peak_mib(worker.mark.pid) for worker in self.workers),
            "store": sum(peak_mib(writer) for writer in self._writers),
        }

    @property
    def _writers(self) -> list[int]:
        return [writer for worker in self.workers for writer in children(worker.mark.pid)]

    def counted(self, what: str) -> dict[str, int]:
        """What the workers counted; stops them. For a fleet that counts `what`."""
        stop([worker.mark for worker in self.workers], 30.0, self._reap)
        total: Counter[str] = Counter()
        for worker in self.workers:
            file = _count_file(self.home, worker.name, what)
            total.update(json.loads(file.read_text(encoding="ascii")))
        return dict(total)

    def _reap(self) -> None:
        for worker in self.workers:
            worker.reap()


@contextlib.contextmanager
def a_fleet(
    home: Path,
    *,
    workers: int = 1,
    concurrency: int = CONCURRENCY,
    count: str | None = None,
    dispatcher: bool = False,
) -> Iterator[Fleet]:
    """A fleet whose workers are ready and wait for `go`. `count`: what they count, the name
    of bench.fleet.worker's variable."""
    home.mkdir(parents=True, exist_ok=True)
    lanes = home / "lanes.toml"
    lanes.write_text(_LANES % concurrency, encoding="utf-8")
    pipeline = home / "pipelines" / "noop"
    pipeline.mkdir(parents=True, exist_ok=True)
    (pipeline / "pipeline.yaml").write_text(_PIPELINE, encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET_", "BENCH_"))}
    children: list[Child] = []
    try:
        local = LocalBus(data=home / "bus")
        bus = _started(children, local.component(clean), home)
        _ready(bus)
        local = local.at(bus.told)
        bus.component = local.component(clean)
        environment = (
            clean
            | local.environment()
            | {
                "FLEET_HOME": str(home),
                "FLEET_LANES_FILE": str(lanes),
                "FLEET_PIPELINES": str(pipeline.parent),
                "FLEET_HTTP_PORT": "0",
                GO: str(home / "go"),
            }
        )
        with BusAdmin(bus_connection(local.admin_port), local.certificate) as admin:
            admin.ensure_queues(load_lanes(lanes))
        started = [
            _started(children, _worker(f"worker-{n}", environment, home, count=count), home)
            for n in range(workers)
        ]
        door = None
        if dispatcher:
            part = Component(
                name="dispatcher", module="bench.fleet.dispatcher", environment=environment
            )
            door = _started(children, part, home)
        for child in children:
            _ready(child)
        yield Fleet(home, bus, started, door, local.connection)
    finally:
        for child in children:
            kill_group(child.mark)
        for child in children:
            while child.running:
                time.sleep(0.02)


def _worker(name: str, environment: dict[str, str], home: Path, *, count: str | None) -> Component:
    counting = {count: str(_count_file(home, name, count))} if count else {}
    return Component(name=name, module="bench.fleet.worker", environment=environment | counting)


def _count_file(home: Path, worker: str, what: str) -> Path:
    return home / f"{worker}.{what}"


def _started(children: list[Child], component: Component, home: Path) -> Child:
    child = Child(component, home)
    children.append(child)
    return child


def _ready(child: Child) -> None:
    end = time.monotonic() + _PATIENCE
    while not child.ready:
        if not child.running or time.monotonic() > end:
            raise child.failure("is not ready")
        time.sleep(0.02)
