"""The real worker process, with the no-op stage; it serves once `BENCH_GO` exists.

With `BENCH_STATEMENTS` naming a file, it counts the ledger's transactions and statements and writes
them there at its end; with `BENCH_SAMPLES`, what part of its CPU goes into recording. Both cost
time, so that a run which counts is not one that is timed.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy import event

import workers.__main__ as process
from bench.fleet.noop import HANDLERS, Noop
from bench.fleet.recording import Sampler
from contracts.payload import PayloadRegistry
from fleet.ledger.ledger import Ledger
from workers.worker import serve

GO = "BENCH_GO"
STATEMENTS = "BENCH_STATEMENTS"
SAMPLES = "BENCH_SAMPLES"
_LOOK = 0.005


async def serve_when_told(*given: Any, **named: Any) -> None:
    """All workers begin at the same moment, their imports behind them."""
    await asyncio.to_thread(_wait)
    counted, sampler = {"statements": 0, "commits": 0}, Sampler()
    if STATEMENTS in os.environ:
        _count(given[0].ledger, counted)
    if SAMPLES in os.environ:
        sampler.start()
    await serve(*given, **named)
    sampler.stop()
    if STATEMENTS in os.environ:
        _write(counted)
    if SAMPLES in os.environ:
        sampler.write(Path(os.environ[SAMPLES]))


class _InThisProcess:
    """The ledger, written where its statements can be counted."""

    @staticmethod
    async def open(url: str, **_: bool) -> Ledger:
        return await Ledger.open(url)


def _wait() -> None:
    while not Path(os.environ[GO]).exists():
        time.sleep(_LOOK)


def _write(counted: dict[str, int]) -> None:
    Path(os.environ[STATEMENTS]).write_text(json.dumps(counted), encoding="ascii")


def _count(ledger: Ledger, counted: dict[str, int]) -> None:
    def statement(*_: Any) -> None:
        counted["statements"] += 1

    def commit(*_: Any) -> None:
        counted["commits"] += 1

    event.listen(ledger.engine, "before_cursor_execute", statement)
    event.listen(ledger.engine, "commit", commit)


if __name__ == "__main__":
    # The process's own tables, before it starts.
    vars(process)["all_handlers"] = lambda: HANDLERS
    vars(process)["payload_registry"] = lambda: PayloadRegistry([Noop])
    vars(process)["serve"] = serve_when_told
    if STATEMENTS in os.environ:
        vars(process)["Ledger"] = _InThisProcess
    sys.exit(process.main())
