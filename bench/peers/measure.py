"""One round of one peer: burn-downs, latencies, chains; with CPU, memory and statements."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench.peers import counters
from bench.peers.contestants import Contestant, python
from bench.peers.marks import VARIABLE, Marks, make
from bench.peers.processes import cpu_seconds, resident_mib, stop
from bench.peers.send import STAGES
from bench.peers.servers import ROOT, Server

_LOOK = 0.005
_PATIENCE = 240.0
_WARM = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything."""

    tasks: int
    chains: int
    seconds: float
    """Of each latency at a rate."""
    rate: float = 50.0


@dataclass(slots=True)
class Peer:
    """A peer's servers, running, and the numbers that were given out."""

    contestant: Contestant
    folder: Path
    servers: list[Server]
    environment: Mapping[str, str]
    marks: Marks
    next_number: int = 0

    def numbers(self, how_many: int) -> range:
        first, self.next_number = self.next_number, self.next_number + how_many
        return range(first, first + how_many)

    def cpu(self, workers: list[int]) -> dict[str, float]:
        """Seconds so far by part."""
        spent = {"worker": cpu_seconds(workers)}
        for server in self.servers:
            spent[server.part] = spent.get(server.part, 0.0) + cpu_seconds([server.pid])
        return spent

    def memory(self, workers: list[int]) -> dict[str, float]:
        """MiB now by part."""
        held = {"worker": resident_mib(workers)}
        for server in self.servers:
            held[server.part] = held.get(server.part, 0.0) + resident_mib([server.pid])
        return held


def one_round(contestant: Contestant, size: Size) -> dict[str, Any]:
    """Every figure of a peer, on servers that were started for it."""
    with a_peer(contestant) as peer:
        figures = _burn_down(peer, size.tasks, processes=1, and_then=size)
        two = _burn_down(peer, size.tasks, processes=2)
        figures["burn_down_2"] = two["burn_down"]
        figures["chain_stages"] = _chains(peer, size.chains)
    return figures


def one_burn_down(contestant: Contestant, tasks: int) -> float:
    """Tasks a second of one backlog."""
    with a_peer(contestant) as peer:
        return float(_burn_down(peer, tasks, processes=1)["burn_down"])


@contextmanager
def a_peer(contestant: Contestant) -> Iterator[Peer]:
    """Its servers, started and prepared."""
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-peer-") as name:
        folder = Path(name)
        started: list[Server] = []
        for number, kind in enumerate(contestant.servers):
            place = folder / f"server{number}"
            place.mkdir()
            started.append(stack.enter_context(kind.start(place)))
        environment = dict(os.environ) | {VARIABLE: str(folder / "marks")}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        for server in started:
            environment |= server.environment
        peer = Peer(contestant, folder, started, environment, make(folder / "marks"))
        if contestant.prepare:
            module = f"bench.peers.apps.{contestant.app}"
            command = [python(contestant), "-m", module, "--prepare"]
            subprocess.run(command, check=True, env=environment, cwd=ROOT, timeout=60)
        yield peer


def _burn_down(
    peer: Peer, tasks: int, *, processes: int, and_then: Size | None = None
) -> dict[str, Any]:
    """A backlog worked off, from the first start to the last record; then latencies."""
    numbers = peer.numbers(tasks)
    sending = _send(peer, numbers)
    with _workers(peer, processes) as workers:
        counted, spent = _begun(peer, numbers, workers)
        seconds = _ended(peer, numbers, workers)
        used = {part: value - spent[part] for part, value in peer.cpu(workers).items()}
        figures: dict[str, Any] = {
            "burn_down": tasks / seconds,
            "enqueue": tasks / sending,
            "cpu_ms": {part: 1000 * value / tasks for part, value in used.items()},
            "memory_mib": peer.memory(workers),
            "per_task": {
                name: (value - counted[name]) / tasks
                for name, value in counters.read(peer.environment).items()
            },
        }
        if and_then is not None:
            figures["latency_50"] = _latency(peer, and_then.rate, and_then.seconds, workers)
            half = figures["burn_down"] / 2
            figures["latency_half"] = _latency(peer, half, and_then.seconds, workers)
    return figures


def _chains(peer: Peer, chains: int) -> float:
    """Stages a second of so many chains of 7, all sent before the worker starts."""
    numbers = peer.numbers(chains * STAGES)
    _send(peer, numbers, "--chains")
    with _workers(peer, 1) as workers:
        return len(numbers) / _ended(peer, numbers, workers)


def _latency(
    peer: Peer, rate: float, seconds: float, workers: list[int]
) -> dict[str, dict[str, float]]:
    """Percentiles in ms at a steady rate, after some tasks that are not counted."""
    numbers = peer.numbers(_WARM + max(20, int(rate * seconds)))
    _send(peer, numbers, "--rate", str(rate))
    _ended(peer, numbers, workers)
    times = [peer.marks.of(number) for number in numbers[_WARM:]]
    return {
        "sent_to_recorded": percentiles([1000 * (end - sent) for sent, _, end in times]),
        "started_to_recorded": percentiles([1000 * (end - start) for _, start, end in times]),
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99."""
    parts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": parts[49], "p95": parts[94], "p99": parts[98]}


def _send(peer: Peer, numbers: range, *options: str) -> float:
    """Seconds that sending took."""
    command = [python(peer.contestant), "-m", "bench.peers.send", peer.contestant.app]
    command += ["--first", str(numbers.start), "--count", str(len(numbers)), *options]
    done = subprocess.run(
        command, check=True, env=peer.environment, cwd=ROOT, stdout=subprocess.PIPE
    )
    return float(json.loads(done.stdout)["seconds"])


@contextmanager
def _workers(peer: Peer, processes: int) -> Iterator[list[int]]:
    """Worker processes; their ids."""
    log = (peer.folder / "workers.log").open("ab")
    started = [
        subprocess.Popen(
            command,
            env=peer.environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        for command in peer.contestant.workers(processes)
    ]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            stop(process)
        log.close()


def _begun(
    peer: Peer, numbers: range, workers: list[int]
) -> tuple[dict[str, float], dict[str, float]]:
    """Counters and CPU when the first task starts: what a worker's own start costs is not told."""
    _look_until(peer, workers, lambda: any(peer.marks.of(n)[1] for n in numbers[:200]), "a start")
    return counters.read(peer.environment), peer.cpu(workers)


def _ended(peer: Peer, numbers: range, workers: list[int]) -> float:
    """Seconds from the first start to the last record."""
    left = iter(numbers)
    waiting_for = next(left)

    def all_recorded() -> bool:
        nonlocal waiting_for
        while peer.marks.of(waiting_for)[2]:
            following = next(left, None)
            if following is None:
                return True
            waiting_for = following
        return False

    _look_until(peer, workers, all_recorded, "the last record")
    times = [peer.marks.of(number) for number in numbers]
    return max(end for *_, end in times) - min(start for _, start, _ in times)


def _look_until(peer: Peer, workers: list[int], condition: Any, what: str) -> None:
    end = time.monotonic() + _PATIENCE
    for looked in count():
        if condition():
            return
        gone = looked % 200 == 199 and not all(Path(f"/proc/{pid}").exists() for pid in workers)
        if gone or time.monotonic() > end:
            said = (peer.folder / "workers.log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{peer.contestant.name}: {what} never came; its workers:\n{said}")
        time.sleep(_LOOK)
