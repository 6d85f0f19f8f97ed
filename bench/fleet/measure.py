"""The measurements of one fleet: burn-down, statements, latency at a rate, latency when idle."""

import asyncio
import itertools
import json
import sqlite3
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.fleet.load import SHAPES, a_loader, one_task
from bench.fleet.recording import PARTS, RECORDING
from bench.fleet.rig import Fleet, a_fleet
from bench.fleet.worker import SAMPLES, STATEMENTS

_LOOK, _A_LOOK_PER = 0.1, 200_000
"""Seconds between two looks, and tasks for which it is a second more: a look counts all rows."""
_PATIENCE = 1800.0
_PARTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnDown:
    """A backlog worked off. Seconds run from the first claim to the last record."""

    shape: str
    tasks: int
    workers: int
    seconds: float
    per_second: float
    by_tenths: list[float]
    """Tasks a second of each tenth, in the order in which they ended."""
    enqueued_per_second: float
    cpu_ms: dict[str, float]
    """Of each part, for each task."""
    peak_mib: dict[str, float]
    """Of each part, its processes together."""


def burn_down(home: Path, shape: str, tasks: int, *, workers: int = 1) -> BurnDown:
    """Fill the queue, let the workers begin, wait until everything is recorded."""
    with a_fleet(home, workers=workers) as fleet:
        tasks, enqueuing = asyncio.run(_loaded(fleet, shape, tasks))
        before = fleet.cpu()
        fleet.go()
        seconds = _recorded(fleet, tasks)
        spent = {part: used - before[part] for part, used in fleet.cpu().items()}
        return BurnDown(
            shape=shape,
            tasks=tasks,
            workers=workers,
            seconds=round(seconds, 3),
            per_second=round(tasks / seconds, 1),
            by_tenths=_by_tenths(fleet),
            enqueued_per_second=round(tasks / enqueuing, 1),
            cpu_ms={part: round(1000 * used / tasks, 3) for part, used in spent.items()},
            peak_mib={part: round(peak, 1) for part, peak in fleet.peaks().items()},
        )


def round_trips(home: Path, shape: str, tasks: int) -> dict[str, float]:
    """Statements and commits of one worker for each task, its spans included."""
    with a_fleet(home, count=STATEMENTS) as fleet:
        tasks, _ = asyncio.run(_loaded(fleet, shape, tasks))
        fleet.go()
        _recorded(fleet, tasks)
        counted = fleet.counted(STATEMENTS)
    return {name: round(count / tasks, 4) for name, count in counted.items()}


def where_it_goes(home: Path, tasks: int) -> dict[str, Any]:
    """A task's CPU: `recording_share`, the part of all of it (worker, store and broker) that
    recording takes, which is all that writes the ledger and RECORDING of the worker's; and
    `worker_parts`, each part's share of the worker's."""
    with a_fleet(home, count=SAMPLES) as fleet:
        tasks, _ = asyncio.run(_loaded(fleet, "runs", tasks))
        before = fleet.cpu()
        fleet.go()
        _recorded(fleet, tasks)
        spent = {part: used - before[part] for part, used in fleet.cpu().items()}
        counted = fleet.counted(SAMPLES)
    parts = {part: counted.get(part, 0) / sum(counted.values()) for part in PARTS}
    recording = spent["store"] + spent["worker"] * sum(parts[part] for part in RECORDING)
    return {
        "recording_share": round(recording / sum(spent.values()), 3),
        "worker_parts": {part: round(share, 3) for part, share in parts.items()},
    }


def at_rate(home: Path, per_second: int, seconds: float) -> dict[str, dict[str, float]]:
    """Latencies in ms at a steady rate.

    `sent_to_recorded` is from before the first write to after the commit of the record, `started_to
    _recorded` from the delivery's arrival to after that commit.
    """
    with a_fleet(home) as fleet:
        fleet.go()
        sent = asyncio.run(_paced(fleet, per_second, seconds))
        _recorded(fleet, len(sent) + 1)
        spans = _spans(fleet, len(sent) + 1, "process", "settle")
    arrived, recorded = spans["process"], spans["settle"]
    return {
        "sent_to_recorded": _percentiles([(recorded[run] - at) / 1e6 for run, at in sent.items()]),
        "started_to_recorded": _percentiles([(recorded[run] - arrived[run]) / 1e6 for run in sent]),
    }


def when_idle(home: Path, samples: int, pause: float) -> dict[str, float]:
    """Latencies in ms from before an HTTP submit to the start of the handler, one at a time."""
    sent: dict[str, int] = {}
    with a_fleet(home, dispatcher=True) as fleet:
        fleet.go()
        _submitted(fleet.http_port)
        _recorded(fleet, 1)  # it opened the senders, most of a second
        for _ in range(samples):
            time.sleep(pause)
            at = time.time_ns()
            sent[_submitted(fleet.http_port)] = at
        _recorded(fleet, samples + 1)
        started = _spans(fleet, samples + 1, "run")["run"]
    return _percentiles([(started[run] - at) / 1e6 for run, at in sent.items()])


async def _loaded(fleet: Fleet, shape: str, tasks: int) -> tuple[int, float]:
    graph, runs = SHAPES[shape](tasks)
    async with a_loader(fleet) as loader:
        seconds = await loader.load(graph, runs)
    return runs * sum(len(s.partitions or ("",)) for s in graph.stages), seconds


async def _paced(fleet: Fleet, per_second: int, seconds: float) -> dict[str, int]:
    """Start single runs at a rate; when each was begun, in ns since 1970."""
    sent: dict[str, int] = {}
    async with a_loader(fleet) as loader:

        async def one() -> None:
            at = time.time_ns()
            started = await loader.start(one_task())
            sent[started.run] = at
            await loader.publish(started.outbox)

        await one()
        await asyncio.sleep(1.0)  # the first one opens the sender
        sent.clear()
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_second * seconds)):
                await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
                group.create_task(one())
    return sent


def _recorded(fleet: Fleet, tasks: int) -> float:
    """Wait until so many attempts have ended; seconds from the first claim to the last record."""
    until = time.monotonic() + _PATIENCE
    with sqlite3.connect(f"file:{fleet.home / 'ledger.db'}?mode=ro", uri=True) as ledger:
        while True:
            ended, first, last = ledger.execute(
                "SELECT count(ended), min(started), max(ended) FROM attempt"
            ).fetchone()
            if ended >= tasks:
                return float(last - first) / 1e6
            if time.monotonic() > until or not all(w.running for w in fleet.workers):
                raise fleet.workers[0].failure(f"recorded {ended} of {tasks} tasks")
            time.sleep(_LOOK + tasks / _A_LOOK_PER)


def _by_tenths(fleet: Fleet) -> list[float]:
    with sqlite3.connect(f"file:{fleet.home / 'ledger.db'}?mode=ro", uri=True) as ledger:
        (first,) = ledger.execute("SELECT min(started) FROM attempt").fetchone()
        ended = [at for (at,) in ledger.execute("SELECT ended FROM attempt ORDER BY ended")]
    many = len(ended) // _PARTS
    marks = [first, *ended[many - 1 :: many][:_PARTS]] if many else []
    return [round(1e6 * many / max(end - start, 1), 1) for start, end in itertools.pairwise(marks)]


def _spans(fleet: Fleet, wanted: int, *words: str) -> dict[str, dict[str, int]]:
    """Start times by run, of the spans whose names begin with each word, once all are stored."""
    until = time.monotonic() + _PATIENCE
    found: dict[str, dict[str, int]] = {word: {} for word in words}
    with sqlite3.connect(f"file:{fleet.home / 'ledger.db'}?mode=ro", uri=True) as ledger:
        while min(map(len, found.values())) < wanted and time.monotonic() < until:
            time.sleep(_LOOK)
            for name, run, start, within in ledger.execute(
                "SELECT name, run, start_ns, within FROM span WHERE run IS NOT NULL"
            ):
                inner = [(one[2], one[4]) for one in json.loads(within or "[]")]
                for each, began in ((name, start), *inner):
                    if (of_word := found.get(each.split()[0])) is not None:
                        of_word[run] = began
    return found


def _submitted(port: int) -> str:
    body = {"pipeline": "noop", "scope": {"tenant": "acme"}, "requester": "bench@example.com"}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/runs",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["run"])


def _percentiles(milliseconds: list[float]) -> dict[str, float]:
    ordered = sorted(milliseconds)

    def at(share: float) -> float:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 2)

    return {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}


def as_json(measured: BurnDown) -> str:
    """One line."""
    return json.dumps(asdict(measured))
