"""Procrastinate over PostgreSQL; run as a module it is the worker.

A chain is made by the task, which defers the next.
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from procrastinate import App, PsycopgConnector

from bench.peers.marks import marks
from bench.peers.send import PAD

_CONCURRENCY = 30
_BATCH = 1_000

app = App(
    connector=PsycopgConnector(
        conninfo=os.environ["BENCH_POSTGRES"], min_size=4, max_size=_CONCURRENCY // 3
    )
)


@app.task(name="noop")
async def noop(number: int, pad: str, left: int = 0) -> None:
    marks().started(number)
    if left:
        await noop.defer_async(number=number + 1, pad=pad, left=left - 1)


def _marked(finish: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """No hook tells when a job's end was committed; this one is put around the call."""

    async def finished(job: Any, *given: Any, **named: Any) -> None:
        await finish(job, *given, **named)
        marks().recorded(job.task_kwargs["number"])

    return finished


class Sender:
    async def open(self) -> None:
        await app.open_async()
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()

    async def send(self, number: int) -> None:
        await noop.defer_async(number=number, pad=PAD)

    async def send_all(self, numbers: range) -> None:
        for start in range(0, len(numbers), _BATCH):
            jobs = [{"number": number, "pad": PAD} for number in numbers[start : start + _BATCH]]
            await noop.batch_defer_async(*jobs)

    async def send_chain(self, first: int, stages: int) -> None:
        await noop.defer_async(number=first, pad=PAD, left=stages - 1)

    async def close(self) -> None:
        await app.close_async()


def main() -> int:
    logging.disable(logging.INFO)
    app.job_manager.finish_job = _marked(app.job_manager.finish_job)  # type: ignore[method-assign]
    app.run_worker(concurrency=_CONCURRENCY, listen_notify=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
