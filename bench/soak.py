"""Does anything grow: `python -m bench.soak --minutes 30 --plot docs/pictures/soak.svg`.

Real processes under mixed load (chains and fan-outs of several widths, handlers in threads and in
processes, handlers that fail, runs that are cancelled) while faults strike every 20 seconds. Of the
dispatcher, the bus and one worker, none of which is ever restarted, memory, open files, threads and
processes are read every 5 seconds. Beforehand one wide fan-out fills the caches, which have bounds.
At the end every run is held against the history checker of tests/chaos, each figure against what it
may come to, and the last line says PASS or FAIL, as the exit code does.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.soak_plot import Strike, drawn
from bench.soak_verdict import grown, table
from contracts.states import State
from fleet.artifacts.folder import FolderStore
from tests.chaos.history import checked
from tests.chaos.rig import Rig, a_rig

_LANES = """\
[chaos]
kinds = ["chaos.step"]
mode = "thread"
concurrency = 8
timeout = 60
lease = 3
retry = { max_attempts = 20, first_delay = 0.3, factor = 1.5, longest_delay = 2 }

[children]
kinds = ["chaos.child"]
mode = "process"
concurrency = 2
timeout = 60
lease = 3
retry = { max_attempts = 20, first_delay = 0.3, factor = 1.5, longest_delay = 2 }
"""
_WIDTHS = (3, 6, 20, 300)
"""Of a run's two fan-outs; 300 is more than an envelope names."""
_EVERY = 5.0
_FAULT_EVERY = 20.0
_EXPECTED = {State.SUCCEEDED, State.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process with all that it started. Memory in MiB, time in seconds of the soak."""

    at: float
    process: str
    memory: float
    files: int
    threads: int
    processes: int


@dataclass
class Soak:
    """What is going on, and what was seen."""

    rig: Rig
    chance: random.Random
    samples: list[Sample] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    """Widths."""
    cancelled: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)

    def start(self) -> None:
        """A run by chance; one in ten is cancelled soon."""
        width = self.chance.choices(_WIDTHS, weights=(10, 10, 5, 0.25))[0]
        run = self.rig.start_run(
            width=width,
            work=self.chance.choice([0.0, 0.05, 0.5]),
            fails=self.chance.choice([0, 0, 20]),
            children=width < 20 and self.chance.random() < 0.2,
        )
        self.runs[run] = width
        self.open.add(run)
        if self.chance.random() < 0.1:
            self.rig.cancel(run)
            self.cancelled.add(run)

    def sample(self, at: float) -> None:
        measured = {"dispatcher": self.rig.dispatcher, "worker": self.rig.workers[0]}
        for name, child in (measured | {"bus": self.rig.bus}).items():
            self.samples.append(_sampled(at, name, child.mark.pid))

    def strike(self, at: float) -> None:
        name = self.chance.choice(list(_FAULTS))
        self.strikes.append(Strike(at, name))
        _FAULTS[name](self.rig)


def _stopped(rig: Rig) -> None:
    """Past the lease."""
    os.kill(rig.workers[0].mark.pid, signal.SIGSTOP)
    time.sleep(5)
    os.kill(rig.workers[0].mark.pid, signal.SIGCONT)


def _deaf(rig: Rig) -> None:
    rig.proxy.deaf(True)
    time.sleep(4)
    rig.proxy.deaf(False)
    rig.proxy.cut()


_FAULTS: dict[str, Callable[[Rig], None]] = {
    "another worker killed": lambda rig: rig.kill(rig.workers[1]),
    "worker stopped past its lease": _stopped,
    "connections cut": lambda rig: rig.proxy.cut(),
    "network silent": _deaf,
    "ledger locked": lambda rig: rig.lock_ledger(4.0),
}


def _sampled(at: float, name: str, leader: int) -> Sample:
    """Of the session that `leader` leads. Memory without the pages of files: of those the system
    keeps as many as it likes, of a ledger that grows more and more."""
    pids = [pid for pid in _pids() if _session(pid) == leader]
    memory, threads, files = 0.0, 0, 0
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # it ended in this moment
            continue
        said = dict(line.split(":", 1) for line in status.splitlines())
        memory += sum(
            int(said[kind].split()[0]) / 1024 for kind in ("RssAnon", "RssShmem") if kind in said
        )
        threads += int(said["Threads"])
    return Sample(
        at=at, process=name, memory=memory, files=files, threads=threads, processes=len(pids)
    )


def _pids() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def soaked(rig: Rig, minutes: float, seed: int, warm_width: int) -> Soak:
    """Load and faults for so long, then until every run has ended."""
    warm = rig.start_run(width=warm_width, stages=1, work=0.0)
    while not rig.ended(warm):
        time.sleep(1)
    soak = Soak(rig, random.Random(seed))
    began, sampled, struck, started = time.monotonic(), -_EVERY, 0.0, 0.0
    while (at := time.monotonic() - began) < minutes * 60 or soak.open:
        going_on = at < minutes * 60
        if going_on and at - started > 2 and len(soak.open) < 6:
            soak.start()
            started = at
        if going_on and at - struck > _FAULT_EVERY:
            soak.strike(at)
            struck = at
        if at - sampled >= _EVERY:
            soak.sample(at)
            sampled = at
        soak.open = {run for run in soak.open if not rig.ended(run)}
        if at > minutes * 60 + 300:
            raise TimeoutError(f"runs that do not end: {sorted(soak.open)}")
        time.sleep(0.5)
    return soak


def sound(soak: Soak) -> tuple[int, int, int, int]:
    """Tasks of the runs that were not cancelled, handlers they took, lost, doubled."""
    rig, tasks, ran, lost, doubled = soak.rig, 0, 0, 0, 0
    for width in _WIDTHS:
        runs = [r for r, w in soak.runs.items() if w == width and r not in soak.cancelled]
        verdict = checked(
            rig.reader,
            rig.url,
            FolderStore(rig.home / "artifacts"),
            rig.home / "effects.log",
            runs,
            2 * width + 2,
        )
        tasks, ran = tasks + verdict.tasks, ran + verdict.ran
        lost, doubled = lost + len(verdict.lost), doubled + len(verdict.doubled)
    return tasks, ran, lost, doubled


def report(soak: Soak) -> tuple[str, bool]:
    """What grew and what the checker found, as Markdown; and whether all of it is as it should."""
    rows = grown(soak.samples)
    tasks, ran, lost, doubled = sound(soak)
    faults = Counter(strike.fault for strike in soak.strikes)
    states = Counter(soak.rig.reader.run(run).state for run in soak.runs)
    wrong = [f"{row.process} {row.figure} grew" for row in rows if not row.held]
    wrong += [f"{lost} lost"] * bool(lost) + [f"{doubled} doubled"] * bool(doubled)
    wrong += [f"runs {state}" for state in states if state not in _EXPECTED]
    lines = [
        table(rows),
        "",
        f"{len(soak.runs)} runs: " + ", ".join(f"{n} {state}" for state, n in states.items()),
        f"{tasks} tasks took {ran} handlers; lost {lost}, doubled {doubled}",
        f"{len(soak.strikes)} faults: " + ", ".join(f"{name} {n}" for name, n in faults.items()),
        f"FAIL: {', '.join(wrong)}" if wrong else "PASS: nothing grew, was lost or was doubled",
    ]
    return "\n".join(lines) + "\n", not wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--warm", type=int, default=4000, help="width of the fan-out before it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="an SVG of what was read")
    parser.add_argument("--samples", type=Path, help="what was read, as JSON")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="soak") as folder,
        a_rig(Path(folder) / "home", lanes=_LANES) as rig,
    ):
        soak = soaked(rig, given.minutes, given.seed, given.warm)
        if given.samples is not None:
            given.samples.write_text(json.dumps([asdict(sample) for sample in soak.samples]))
        if given.plot is not None:
            given.plot.write_text(drawn(soak.samples, soak.strikes), encoding="utf-8")
        told, well = report(soak)
    sys.stdout.write(told)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
