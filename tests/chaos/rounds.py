"""The faults, one a round: two runs are started, harm is done in the middle, history is checked."""

import functools
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from console.stack.process import Child
from tests.chaos.history import Verdict, at_once
from tests.chaos.rig import AT_ONCE, LEASE, Rig
from workers.faultpoints import POINTS

_MORE = LEASE + 2.0
"""Seconds: longer than a lease and a sweep."""
_TRIES = 5
"""How many pairs of runs a victim is offered until it has taken a task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is done to a running fleet."""

    harm: Callable[[Rig], None] | None = None
    """Done once the runs are under way."""
    plan: str | None = None
    """A fault point of one more worker that is there before the runs are."""
    full_disk: bool = False
    limited: bool = False
    """The partitions are in the lane of which few may run at the same time, and a worker is killed
    that holds a slot."""


def _kill(which: Callable[[Rig], Child]) -> Fault:
    return Fault(harm=lambda rig: rig.kill(which(rig)))


def _cut(rig: Rig) -> None:
    for _ in range(3):
        rig.proxy.cut()
        time.sleep(0.3)


def _deaf(rig: Rig) -> None:
    rig.proxy.deaf(True)
    time.sleep(_MORE)
    rig.proxy.deaf(False)
    rig.proxy.cut()


FAULTS: dict[str, Fault] = {
    **{
        f"SIGKILL at {number}. {point}": Fault(plan=f"{point}:kill")
        for number, point in enumerate(POINTS, 1)
    },
    "SIGSTOP past the lease, SIGCONT": Fault(plan="handled:stop"),
    "SIGKILL of a worker at any moment": _kill(lambda rig: rig.workers[0]),
    "SIGKILL of the dispatcher": _kill(lambda rig: rig.dispatcher),
    "bus killed and restarted": _kill(lambda rig: rig.bus),
    "connections cut": Fault(harm=_cut),
    "network silent past the lease": Fault(harm=_deaf),
    "ledger locked past the lease": Fault(harm=lambda rig: rig.lock_ledger(_MORE)),
    "disk full for one worker": Fault(full_disk=True),
    "SIGKILL of a worker that holds a slot": Fault(limited=True),
}


@dataclass
class Line:
    """One fault's line of the table."""

    rounds: int = 0
    struck: int = 0
    tasks: int = 0
    ran: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)
    longest: float = 0.0

    def add(self, verdict: Verdict, struck: bool, seconds: float) -> None:
        self.rounds += 1
        self.struck += struck
        self.tasks += verdict.tasks
        self.ran += verdict.ran
        self.lost += verdict.lost
        self.doubled += verdict.doubled
        self.illegal += verdict.illegal
        self.longest = max(self.longest, seconds)


def one_round(rig: Rig, name: str) -> tuple[Verdict, bool, float]:
    """The verdict; whether the fault struck; seconds from the runs' start to their end."""
    fault = FAULTS[name]
    victim = None
    if fault.plan is not None:
        victim = rig.at_point(fault.plan)
    elif fault.full_disk:
        victim = rig.fill_disk()
    if victim is not None:
        rig.until(lambda: victim.ready, "a victim")
    runs: list[str] = []
    struck = victim is None and not fault.limited
    began = time.monotonic()
    for _ in range(_TRIES):
        began = time.monotonic()
        work = 0.3 if fault.limited else 0.05
        pair = [
            rig.start_run(big=fault.full_disk, children=fault.limited, work=work) for _ in range(2)
        ]
        runs += pair
        rig.until(functools.partial(rig.begun, pair[0]), "a first task")
        if fault.harm is not None:
            fault.harm(rig)
        if fault.limited:
            struck = rig.kill_holder(pair)
        if victim is not None:
            struck = _struck(rig, victim, pair, fault)
        rig.until(functools.partial(rig.all_ended, pair), f"the end of the runs: {name}")
        if struck:
            break
    seconds = time.monotonic() - began
    rig.end_victims()
    verdict = rig.verdict(runs)
    if fault.limited:
        most = at_once(rig.url, runs, "children")
        over = f"{most} of a limited lane ran at once, where {AT_ONCE} may"
        if most > AT_ONCE:
            verdict = replace(verdict, illegal=(*verdict.illegal, over))
    return verdict, struck, seconds


def _struck(rig: Rig, victim: Child, runs: list[str], fault: Fault) -> bool:
    """Wait until the victim is hit, or there is nothing left for it to take."""

    def hit() -> bool:
        if fault.full_disk:
            return any(
                attempt.fault is not None and attempt.fault.code == "worker.disk_failed"
                for run in runs
                for task in rig.reader.tasks(run)
                for attempt in rig.reader.task(task.task).attempts
            )
        return _stopped(victim.mark.pid) if fault.plan == "handled:stop" else not victim.running

    rig.until(lambda: hit() or rig.all_ended(runs), "a hit")
    struck = hit()
    if struck and fault.plan == "handled:stop":
        time.sleep(_MORE)
        os.kill(victim.mark.pid, signal.SIGCONT)
    return struck


def _stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


def table(lines: Iterable[tuple[str, Line]]) -> str:
    """The faults and their counts, as Markdown."""
    rows = [
        "| Fault | rounds | struck | tasks | handlers run | lost | doubled | longest |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = Line()
    for name, line in lines:
        rows.append(_row(name, line))
        total.rounds += line.rounds
        total.struck += line.struck
        total.tasks += line.tasks
        total.ran += line.ran
        total.lost += line.lost
        total.doubled += line.doubled
        total.longest = max(total.longest, line.longest)
    return "\n".join([*rows, _row("**all**", total)])


def _row(name: str, line: Line) -> str:
    return (
        f"| {name} | {line.rounds} | {line.struck} | {line.tasks} | {line.ran} |"
        f" {len(line.lost)} | {len(line.doubled)} | {line.longest:.0f} s |"
    )
