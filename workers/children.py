"""Child processes that run one handler at a time, each apart from the others.

A child that dies (out of memory, a crash in a library), grows over its lane's limit, or is killed
takes its own task along and no other: that is why this is no ProcessPoolExecutor, where one death
breaks every call under way and a call under way cannot be ended. A child is kept for the next task.
When its worker dies, a child reads the end of its pipe and goes too.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fleet.telemetry.from_child import LineFromChild, log_from_child, start_child_logging
from fleet.telemetry.logs import hear
from fleet.telemetry.output import redact_output
from workers.guard import guarded

# forkserver: a fork of a process with threads can deadlock; spawn starts slower.
_context = multiprocessing.get_context("forkserver")
_PRELOADED = ["workers.stages.table"]
_PAGE = os.sysconf("SC_PAGE_SIZE")


_LOOK = 0.2
"""Seconds between two looks at the memory of a child that has a limit."""


class ChildDied(Exception):
    """The child ended before it answered. Whatever it was doing is lost."""


class ChildTooLarge(ChildDied):
    """The child was ended because it took more memory than it may."""


class Child:
    """One process. `call` from one thread at a time; `kill` from any."""

    def __init__(self) -> None:
        _context.set_forkserver_preload(_PRELOADED)
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        self._looked = time.monotonic()
        theirs.close()

    def call(self, run: Callable[[Any], Any], argument: Any, memory_mb: int | None = None) -> Any:
        """What `guarded(run, argument)` gives there; blocks. Raises ChildDied, ChildTooLarge.

        `memory_mb`: MiB of resident memory. Looked at from outside: a limit of the address space
        would hit libraries that reserve far more of it than they use.
        """
        try:
            self._pipe.send((run, argument))
            while isinstance(told := self._told(memory_mb), LineFromChild):
                log_from_child(told)
            return told
        except (EOFError, OSError) as cause:
            raise ChildDied("the process of a handler ended before it answered") from cause

    def _told(self, memory_mb: int | None) -> Any:
        """What comes next: a line that was logged, or the outcome."""
        while memory_mb is not None:
            there = self._pipe.poll(_LOOK)
            if (not there or self._is_due()) and _resident_mb(self._process.pid) > memory_mb:
                self.kill()
                raise ChildTooLarge(f"the process of a handler took over {memory_mb} MiB")
            if there:
                break
        return self._pipe.recv()

    def _is_due(self) -> bool:
        """Whether to look at the memory of a child that logs without a pause."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return False
        self._looked = now
        return True

    def kill(self) -> None:
        """End it at once, whatever it does. Twice is harmless."""
        self._process.kill()

    def close(self) -> None:
        """Let go of it: what is idle ends by itself, what still works is killed."""
        self.kill()
        self._process.join()
        self._pipe.close()


class Children:
    """The idle children of one worker, at most `keep` of them. Safe between threads."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._idle: list[Child] = []
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> Child:
        """An idle child, or a new one, which takes a moment to start."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Child()

    def give_back(self, child: Child) -> None:
        """Keep a child that has answered for the next task."""
        with self._lock:
            if len(self._idle) < self._keep and not self._closed:
                self._idle.append(child)
                return
        child.close()

    def close(self) -> None:
        """End the idle ones. Twice is harmless."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.close()


def _resident_mb(pid: int | None) -> float:
    """MiB in memory; 0 where the system has no /proc to tell (it then kills by itself, or not)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * _PAGE / 1024**2


def _serve(pipe: Connection) -> None:
    """A child's life: carry out what comes, until the worker is gone."""
    # Ctrl-C in a terminal reaches the whole group; only the worker decides when work ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    redact_output()
    lines = start_child_logging(pipe.send)
    while True:
        try:
            run, argument = pipe.recv()
            hear(run)
            lines.begin()
            lines.answer(guarded(run, argument))
        except (EOFError, OSError):
            return
