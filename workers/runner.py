"""Running handlers: on the event loop, in a thread, or in a pool of processes, as the lane says.

What a handler raises becomes a Failed here, and nowhere else. A handler that is told to end gets a
while to do so by itself; a thread that does not is left behind, and counted.
"""

import asyncio
import inspect
import logging
import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from contracts.lane import Mode
from contracts.outcome import Failed, Fault, FaultKind, Produced
from fleet.telemetry.redact import redacted
from workers.leases import End, Lease
from workers.stages.handler import AsyncRun, Run, StageFault, StageHandler, Workbench

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_GRACE = 5.0
"""Seconds that a handler has to end by itself once it is told to."""


class TimedOut(Exception):
    """The attempt took longer than its lane allows."""


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


class HandlerRunner:
    """The threads and processes of one worker. `threads` and `processes` bound them."""

    def __init__(self, threads: int, processes: int) -> None:
        self._threads = ThreadPoolExecutor(max(threads, 1), thread_name_prefix="stage")
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self.left_behind = 0
        """Handlers that did not end when told to."""

    async def run(
        self, handler: StageHandler, bench: Workbench, mode: Mode, lease: Lease, limit: float
    ) -> Produced | Failed:
        """The handler's outcome, within `limit` seconds.

        Raises TimedOut or AttemptEnded when it had to be ended.
        """
        signals: FlagSignals | LeaseSignals = LeaseSignals(lease)
        if mode is Mode.PROCESS:
            signals = FlagSignals(bench.scratch.with_suffix(".cancel"))
        running = self._start(handler, replace(bench, signals=signals), mode)
        told = asyncio.ensure_future(lease.ended.wait())
        try:
            either: set[asyncio.Future[Any]] = {running, told}
            await asyncio.wait(either, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return self._result(running)
            signals.cancel()
            await asyncio.wait({running}, timeout=_GRACE)
            if running.done() and isinstance(self._result(running), Produced):
                return self._result(running)
            if not running.done():
                self.left_behind += 1
                running.cancel()
                _log.error("a handler did not end within %.0f s of being told to", _GRACE)
            raise TimedOut if lease.end is None else AttemptEnded(lease.end)
        finally:
            told.cancel()
            signals.clear()

    def warm(self) -> None:
        """Start the processes before they are needed: importing the stages takes a second."""
        for _ in range(max(self._processes, 1)):
            self._in_pool(_nothing)

    def close(self) -> None:
        """Let go of threads and processes; what still runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(
        self, handler: StageHandler, bench: Workbench, mode: Mode
    ) -> "asyncio.Future[Produced | Failed]":
        if mode is Mode.ASYNC or inspect.iscoroutinefunction(handler.run):
            return asyncio.ensure_future(_guarded_async(cast(AsyncRun, handler.run), bench))
        run = cast(Run, handler.run)
        if mode is Mode.THREAD:
            return asyncio.wrap_future(self._threads.submit(guarded, run, bench))
        return asyncio.wrap_future(self._in_pool(guarded, run, bench))

    def _in_pool(self, call: Callable[P, T], *given: P.args, **named: P.kwargs) -> "Future[T]":
        for _ in range(2):
            if self._pool is None:
                # forkserver: a fork of a process with threads can deadlock; spawn starts slower.
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload(["workers.stages.table"])
                self._pool = ProcessPoolExecutor(max(self._processes, 1), mp_context=context)
            try:
                return self._pool.submit(call, *given, **named)
            except BrokenProcessPool:
                self._pool = None
        raise RuntimeError("a pool of processes broke twice before it took any work")

    def _result(self, running: "asyncio.Future[Produced | Failed]") -> Produced | Failed:
        try:
            return running.result()
        except BrokenProcessPool:
            self._pool = None
            return Failed(
                fault=Fault(
                    kind=FaultKind.TRANSIENT,
                    code="handler.process_died",
                    message="the handler's process died: out of memory, or a crash in a library",
                )
            )


def _nothing() -> None:
    """What a process does to be there: the pool starts one for each call that finds none idle."""


def guarded(run: Callable[[Workbench], Produced | Failed], bench: Workbench) -> Produced | Failed:
    """A handler's outcome, whatever it raises."""
    try:
        return run(bench)
    except Exception as cause:  # the single place where an exception becomes Failed
        return failed(cause)


async def _guarded_async(run: AsyncRun, bench: Workbench) -> Produced | Failed:
    try:
        return await run(bench)
    except Exception as cause:  # the asynchronous face of `guarded`
        return failed(cause)


def failed(cause: Exception) -> Failed:
    """A stated fault as it is; anything else as a fault that a second try may cure."""
    if isinstance(cause, StageFault):
        return Failed(fault=cause.fault)
    name = type(cause).__name__
    return Failed(
        fault=Fault(
            kind=FaultKind.TRANSIENT, code=f"handler.{name}", message=redacted(str(cause)) or name
        )
    )
