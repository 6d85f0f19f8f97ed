"""A redrive of thousands whose dispatcher is killed: `python -m tests.dispatcher.redrive_storm`.

Real processes: a bus, and a dispatcher that is ended by SIGKILL at given parts of the way and
started again. Then the ledger's own rows say what happened: every task redriven exactly once, in
the history, in the job's items and on the bus; and never faster than asked.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from sqlalchemy import func, select

from fleet.bus.bus import INTAKE_QUEUE
from fleet.clock import SystemClock
from fleet.ledger import tables
from fleet.ledger.database import open_reading_engine
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from localbus.testing import RunningBus, running_bus
from tests.fleet.ledger.graveyard import CAUSES, buried

PROJECT = Path(__file__).parents[2]
PATIENCE = 300.0
_LANE = "lane-mirror"
_WHY = {"requester": "ana", "reason": "the source is back"}
_BURIED_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class Storm:
    """What was seen."""

    tasks: int
    groups: dict[str, int]
    """Dead letters by cause, before."""
    previewed: int
    per_second: int
    kills: tuple[int, ...]
    """How many were redriven when the dispatcher was killed, each time."""
    seconds: float
    fastest: int
    """The most in any one second."""
    redriven: int
    refused: int
    events: int
    """Moves from `failed` to `queued` in the history."""
    tasks_moved: int
    """Different tasks among them."""
    on_the_bus: int
    left_dead: int
    """Dead letters afterwards."""

    @property
    def exactly_once(self) -> bool:
        seen = {self.redriven, self.events, self.tasks_moved, self.on_the_bus}
        return seen == {self.tasks} and self.refused == self.left_dead == 0


def storm(folder: Path, *, tasks: int, per_second: int, kill_at: Sequence[float]) -> Storm:
    """Bury, redrive everything, kill on the way, and look. `kill_at`: parts of the way."""
    url = f"sqlite:///{folder / 'home' / 'ledger.db'}"
    asyncio.run(_bury(url, tasks))
    with running_bus(folder / "bus", queues=[INTAKE_QUEUE]) as bus, LedgerReader(url) as reader:
        bus.create_queue(_LANE, detect_duplicates=True)
        groups = {group.reason: group.count for group in reader.dead_groups(SystemClock().now())}
        kills = []
        with _dispatcher(folder, bus) as address:
            asked = {"everything": True, **_WHY}
            dry = httpx.post(f"{address}/v1/redrives", json=asked | {"dry_run": True}, timeout=60)
            begun = time.monotonic()
            started = httpx.post(
                f"{address}/v1/redrives", json=asked | {"per_second": per_second}, timeout=60
            )
            job = started.json()["job"]["job"]
            kills.append(_until_part(reader, job, kill_at[0]))
        for part in kill_at[1:]:
            with _dispatcher(folder, bus):
                kills.append(_until_part(reader, job, part))
        with _dispatcher(folder, bus):
            _until_part(reader, job, 1.0)
            seconds = time.monotonic() - begun
            _until(lambda: bus.counts(_LANE)["active"] >= tasks, "all of them on the bus")
        ended = reader.redrive(job)
        events, moved = _moves(url)
        return Storm(
            tasks=tasks,
            groups=groups,
            previewed=dry.json()["preview"]["total"],
            per_second=per_second,
            kills=tuple(kills),
            seconds=round(seconds, 1),
            fastest=_fastest(reader, job),
            redriven=ended.redriven,
            refused=ended.refused,
            events=events,
            tasks_moved=moved,
            on_the_bus=bus.counts(_LANE)["active"],
            left_dead=len(reader.dead_letters(10)),
        )


async def _bury(url: str, tasks: int) -> None:
    async with await Ledger.open(url) as ledger:
        for start in range(0, tasks, _BURIED_AT_ONCE):
            await buried(ledger, min(_BURIED_AT_ONCE, tasks - start))


@contextmanager
def _dispatcher(folder: Path, bus: RunningBus) -> Iterator[str]:
    """A dispatcher and its address; killed when the block ends, whatever it is doing."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    own = {
        "FLEET_HOME": str(folder / "home"),
        "FLEET_BUS_CONNECTION": bus.connection_string,
        "FLEET_HTTP_PORT": "0",
    }
    with (folder / "dispatcher.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dispatcher", "--ready-file", str(ready)],
            env=kept | own,
            cwd=PROJECT,
            stderr=log,
        )
        try:
            _until(ready.exists, "a dispatcher that listens")
            yield f"http://127.0.0.1:{json.loads(ready.read_text())['http_port']}"
        finally:
            process.kill()
            process.wait()


def _until_part(reader: LedgerReader, job: str, part: float) -> int:
    """Wait until this part of the redrive is done; how many are redriven then."""

    def far_enough() -> bool:
        standing = reader.redrive(job)
        return standing.redriven + standing.refused >= part * standing.total

    _until(far_enough, f"{part:.0%} of the redrive")
    return reader.redrive(job).redriven


def _until(condition: Callable[[], bool], what: str) -> None:
    """Other processes give no signal, so it looks often."""
    end, idle = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"never came: {what}")
        idle.wait(0.02)


def _moves(url: str) -> tuple[int, int]:
    """Redrives in the history: how many, and of how many tasks."""
    e = tables.event.c
    query = select(func.count(), func.count(e.task.distinct())).where(
        e.old == "failed", e.new == "queued"
    )
    engine = open_reading_engine(url)
    try:
        with engine.connect() as connection:
            events, moved = connection.execute(query).one()
    finally:
        engine.dispose()
    return events, moved


def _fastest(reader: LedgerReader, job: str) -> int:
    """The most items in any second that begins with one of them."""
    counts = Counter(item.at for item in reader.redrive_items(job, limit=1_000_000) if item.at)
    times = sorted(counts)
    return max(
        sum(counts[at] for at in times if 0 <= (at - start).total_seconds() < 1) for start in times
    )


def main(arguments: list[str]) -> int:
    """Print what was seen, as JSON; exit 1 unless each was redriven exactly once."""
    parser = argparse.ArgumentParser(prog="python -m tests.dispatcher.redrive_storm")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--per-second", type=int, default=400)
    parser.add_argument("--kill-at", type=float, nargs="*", default=[0.25, 0.5, 0.75])
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        seen = storm(
            Path(folder),
            tasks=given.tasks,
            per_second=given.per_second,
            kill_at=given.kill_at,
        )
    sys.stdout.write(json.dumps(asdict(seen) | {"exactly_once": seen.exactly_once}) + "\n")
    return 0 if seen.exactly_once and len(seen.groups) == len(CAUSES) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
