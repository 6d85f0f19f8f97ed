"""One process of the local stack: started with a log of its own, stopped by its id.

The process leads a process group of its own, so that Ctrl-C reaches only the one who stops
everything in order, and so that nothing that it started outlives a kill.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.errors import Unreachable
from console.stack.record import ProcessMark

_POLL = 0.05
"""Seconds between looks at a process that is to end."""
_KILL_PATIENCE = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 10.0
"""Seconds before a process that died is started again; doubled each time that it dies soon."""
_SETTLED = 60.0
"""Seconds of running after which earlier deaths no longer count."""
_TAIL = 15
"""Lines of a log that are shown when its process fails."""
_TAIL_BYTES = 16_384


@dataclass(frozen=True, kw_only=True)
class Component:
    """What to start: `python -m <module> <arguments>` in an environment. The module must take
    `--ready-file` and write that file once it is at work."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str]


class Child:
    """A started component."""

    def __init__(self, component: Component, home: Path) -> None:
        self.component, self.name = component, component.name
        self.log = home / "logs" / f"{component.name}.log"
        self._ready_file = home / "logs" / f"{component.name}.ready"
        self.restarts = 0
        """Times that it was started again, since it last ran for long."""
        self._began = 0.0
        self._died: float | None = None
        self._process = self._started()
        self.mark = ProcessMark.of(component.name, self._process.pid)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether it has said that it is at work since it was last started."""
        return self._ready_file.exists()

    @property
    def told(self) -> dict[str, Any]:
        """What it said of itself when it was ready: its ports."""
        told: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
        return told

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.poll()
        if code is None:
            return "is running"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def due(self) -> bool:
        """Whether it has died and may be started again: at once, then after longer and longer."""
        if self.running:
            return False
        now = time.monotonic()
        if self._died is None:
            self._died = now
            if now - self._began > _SETTLED:
                self.restarts = 0
        delay = min(_FIRST_DELAY * 2**self.restarts, _LONGEST_DELAY) if self.restarts else 0.0
        return now - self._died >= delay

    def restart(self) -> None:
        """Start it again, in the same log. Whatever the dead one had started is ended first."""
        kill_group(self.mark)
        self.restarts += 1
        self._process = self._started()
        self.mark = ProcessMark.of(self.component.name, self._process.pid)

    def failure(self, what: str) -> Unreachable:
        """An error that shows the end of the log."""
        return Unreachable(
            f"{self.component.name} {what}; the end of {self.log.name}:\n{tail(self.log)}"
        )

    def reap(self) -> None:
        """Take note of its end: until then the kernel keeps it as a zombie."""
        self._process.poll()

    def _started(self) -> subprocess.Popen[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._ready_file.unlink(missing_ok=True)
        self._began, self._died = time.monotonic(), None
        arguments = [*self.component.arguments, "--ready-file", str(self._ready_file)]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", self.component.module, *arguments],
                env=dict(self.component.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def stop(
    marks: Sequence[ProcessMark], patience: float, reap: Callable[[], None] | None = None
) -> None:
    """SIGTERM to every process; after `patience` seconds, SIGKILL to what is left and its group.

    `reap` is called while waiting. Stopping what has stopped is harmless.
    """
    for mark in marks:
        if mark.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(mark.pid, signal.SIGTERM)
    if _ended(marks, patience, reap):
        return
    for mark in marks:
        if mark.alive:
            kill_group(mark)
    _ended(marks, _KILL_PATIENCE, reap)


def _ended(marks: Sequence[ProcessMark], patience: float, reap: Callable[[], None] | None) -> bool:
    until = time.monotonic() + patience
    while True:
        if reap is not None:
            reap()
        if not any(mark.alive for mark in marks):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL)


def kill_group(mark: ProcessMark) -> None:
    """End what is left of the process and of everything that it started.

    The kernel gives a number to no new process while a group of that number lives.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(mark.pid, signal.SIGKILL)


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join(f"  | {line}" for line in lines[-_TAIL:]) or "  | (nothing was written)"
