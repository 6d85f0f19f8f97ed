"""Running handlers: on the event loop, in a thread, or in a process, as the lane says.

A handler that is told to end gets a while to do so by itself. After that a process is killed, a
coroutine is cancelled, and in a thread an exception is raised. What withstands that (a call into C
that does not return) is left behind and counted: its attempt is over, what it still makes is looked
at by nobody, and its place in the lane stays taken until it ends (workers.worker).
"""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from contracts.lane import Mode
from contracts.outcome import Failed, Fault, FaultKind, Produced
from fleet.bus.receiver import Delivery
from workers.children import Child, ChildDied, Children, ChildTooLarge
from workers.guard import guarded, guarded_async
from workers.leases import End, Lease
from workers.stages.handler import AsyncRun, Run, StageHandler, Workbench
from workers.threads import HandlerEnded, HandlerThread

_log = logging.getLogger(__name__)

_GRACE = 5.0
"""Seconds that a handler has to end by itself once it is told to."""
_FORCED = 1.0
"""Seconds for a handler that is ended by force to be gone."""
_AGAIN = 0.5
"""Seconds between two uses of force: a handler may catch the first, or tidy up."""


class TimedOut(Exception):
    """The attempt took longer than it was given."""


class AttemptEnded(Exception):
    """The attempt was told to end before its handler was done; `why` says by whom."""

    def __init__(self, why: End) -> None:
        super().__init__(why)
        self.why = why


class FlagSignals:
    """Signals over a file, so that a handler in another process sees them. Reports no progress."""

    def __init__(self, flag: Path) -> None:
        self._flag = flag

    def cancelled(self) -> bool:
        return self._flag.exists()

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Dropped: the stages that run in processes are short."""

    def cancel(self) -> None:
        self._flag.touch()

    def clear(self) -> None:
        self._flag.unlink(missing_ok=True)


class LeaseSignals:
    """Signals within this process: progress reaches the lease, and with it the operators."""

    def __init__(self, lease: Lease) -> None:
        self._lease, self._cancelled = lease, False

    def cancelled(self) -> bool:
        return self._cancelled

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        self._lease.progress = {"done": done, "total": total, "note": note[:200]}

    def cancel(self) -> None:
        self._cancelled = True

    def clear(self) -> None:
        """Nothing outlives the attempt."""


@dataclass(frozen=True, slots=True)
class _Running:
    """A started handler, and how it is ended by force."""

    outcome: "asyncio.Future[Produced | Failed]"
    force: Callable[[], object]


class HandlerRunner:
    """The threads and processes of one worker; how many handlers run at once is the lanes' to say.

    `processes`: how many are started by `warm` and kept between tasks. `grace`: seconds.
    """

    def __init__(self, processes: int, grace: float = _GRACE) -> None:
        self._processes, self._grace = max(processes, 1), grace
        self._children = Children(keep=self._processes)
        self._left: dict[asyncio.Future[Produced | Failed], Delivery] = {}

    @property
    def left_behind(self) -> int:
        """Handlers that did not end when told to, and still have not."""
        return len(self._left)

    def left_by(self, delivery: Delivery) -> "asyncio.Future[Produced | Failed] | None":
        """The handler of this delivery, where it is left behind: done once it ends after all."""
        return next((outcome for outcome, one in self._left.items() if one is delivery), None)

    async def run(
        self,
        handler: StageHandler,
        bench: Workbench,
        mode: Mode,
        lease: Lease,
        limit: float,
        *,
        memory_mb: int | None = None,
    ) -> Produced | Failed:
        """The handler's outcome, within `limit` seconds and, in a process, `memory_mb` MiB.

        Raises TimedOut or AttemptEnded when it had to be ended.
        """
        signals: FlagSignals | LeaseSignals = LeaseSignals(lease)
        if mode is Mode.PROCESS:
            signals = FlagSignals(bench.scratch.with_suffix(".cancel"))
        running = self._start(handler, replace(bench, signals=signals), mode, memory_mb)
        try:
            # Most handlers on the loop end in their first step: nothing then has to be set up that
            # would call an end.
            await asyncio.sleep(0)
            if not running.outcome.done():
                await _first_of(running.outcome, lease.ended, limit)
            if running.outcome.done():
                return _result(running.outcome)
            signals.cancel()
            await self._end(running, lease)
            if running.outcome.done() and isinstance(_result(running.outcome), Produced):
                return _result(running.outcome)
            raise TimedOut if lease.end is None else AttemptEnded(lease.end)
        finally:
            signals.clear()

    async def _end(self, running: _Running, lease: Lease) -> None:
        """Let the handler end by itself, then by force; what withstands that is left behind."""
        outcome = running.outcome
        await asyncio.wait({outcome}, timeout=self._grace)
        until = asyncio.get_running_loop().time() + _FORCED
        while not outcome.done() and asyncio.get_running_loop().time() < until:
            running.force()
            await asyncio.wait({outcome}, timeout=_AGAIN)
        if not outcome.done():
            self._left[outcome] = lease.delivery
            outcome.add_done_callback(self._ended_after_all)
            _log.error(
                "a handler did not end within %.0f s of being told to; %d are left behind",
                self._grace,
                self.left_behind,
            )

    def _ended_after_all(self, outcome: "asyncio.Future[Produced | Failed]") -> None:
        del self._left[outcome]
        if not outcome.cancelled():
            outcome.exception()  # looked at, or asyncio complains that nobody did
        _log.warning("a handler that was left behind has ended; what it made is not recorded")

    def warm(self) -> None:
        """Start the processes before they are needed: importing the stages takes a second."""
        for child in [self._children.take() for _ in range(self._processes)]:
            self._children.give_back(child)

    def close(self) -> None:
        """Let go of threads and processes; what still runs is not waited for."""
        self._children.close()

    def _start(
        self, handler: StageHandler, bench: Workbench, mode: Mode, memory_mb: int | None
    ) -> _Running:
        if mode is Mode.ASYNC or inspect.iscoroutinefunction(handler.run):
            loop = asyncio.get_running_loop()
            task = loop.create_task(guarded_async(cast(AsyncRun, handler.run), bench))
            return _Running(task, lambda: task.cancelling() or task.cancel())
        run = cast(Run, handler.run)
        if mode is Mode.THREAD:
            thread = HandlerThread(guarded, run, bench)
            return _Running(asyncio.wrap_future(thread.outcome), thread.end)
        place = _Place()
        thread = HandlerThread(self._in_child, place, run, bench, memory_mb)
        return _Running(asyncio.wrap_future(thread.outcome), place.kill)

    def _in_child(
        self, place: "_Place", run: Run, bench: Workbench, memory_mb: int | None
    ) -> Produced | Failed:
        child = self._children.take()
        try:
            place.take(child)
            outcome = cast(Produced | Failed, child.call(run, bench, memory_mb))
        except ChildTooLarge:
            child.close()
            # Tried again: what an earlier task left in this process may have been part of it.
            return _failure(
                "handler.too_large", f"the handler took more than the lane's {memory_mb} MiB"
            )
        except ChildDied:
            child.close()
            return _failure(
                "handler.process_died",
                "the handler's process died: out of memory, or a crash in a library",
            )
        place.leave()
        self._children.give_back(child)
        return outcome


class _Place:
    """Where an attempt runs: the child that a kill hits, also one that is still to be started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._killed = False

    def take(self, child: Child) -> None:
        """Raises ChildDied when the attempt was ended before its process was there."""
        with self._lock:
            if self._killed:
                raise ChildDied("ended before it began")
            self._child = child

    def leave(self) -> None:
        """Before the child may be given to another attempt: a late kill must not hit that one."""
        with self._lock:
            self._child = None

    def kill(self) -> None:
        with self._lock:
            self._killed = True
            if self._child is not None:
                self._child.kill()


async def _first_of(one: "asyncio.Future[Any]", other: "asyncio.Future[Any]", limit: float) -> None:
    """Until either is done, or `limit` seconds are over.

    asyncio.wait also asks of each whether it is a coroutine: as long as all the rest here.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = loop.call_later(limit, wake)
    one.add_done_callback(wake)
    other.add_done_callback(wake)
    try:
        await waiter
    finally:
        timer.cancel()
        one.remove_done_callback(wake)
        other.remove_done_callback(wake)


def _result(outcome: "asyncio.Future[Produced | Failed]") -> Produced | Failed:
    if outcome.cancelled() or isinstance(outcome.exception(), HandlerEnded):
        return _failure("handler.cancelled", "the handler was cancelled, by force or by itself")
    return outcome.result()


def _failure(code: str, message: str) -> Failed:
    return Failed(fault=Fault(kind=FaultKind.TRANSIENT, code=code, message=message))
