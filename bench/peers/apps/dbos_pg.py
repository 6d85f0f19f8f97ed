"""DBOS over PostgreSQL: a task is a workflow on a queue; a chain is one workflow of so many steps.

Run as a module it is the worker.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one

_URL = os.environ["BENCH_POSTGRES_URL"]
_QUEUE = "bench"
_VERSION = "1"
_CONCURRENCY = 50
_POLL = 0.05
"""Seconds between two looks at the queue; the default of 1 s would be all that is measured."""


@DBOS.workflow(name="noop")
def noop(number: int, pad: str) -> None:
    marks().started(number)


@DBOS.workflow(name="steps")
def steps(number: int, pad: str, count: int) -> None:
    for place in range(number, number + count):
        step(place, pad)


@DBOS.step(name="step")
def step(number: int, pad: str) -> None:
    marks().started(number)


def _marked(update: Callable[..., bool]) -> Callable[..., bool]:
    """No hook tells when an outcome was committed; this one is put around the call."""

    def updated(workflow: str, *given: Any, **named: Any) -> bool:
        landed = update(workflow, *given, **named)
        first, count = map(int, workflow.split("-"))
        for number in range(first, first + count):
            marks().recorded(number)
        return landed

    return updated


def _config() -> DBOSConfig:
    return {
        "name": "bench",
        "system_database_url": _URL,
        "application_version": _VERSION,
        "log_level": "ERROR",
        "sys_db_pool_size": 20,
    }


class Sender:
    async def open(self) -> None:
        self._client = DBOSClient(system_database_url=_URL, application_name="bench")

    async def send(self, number: int) -> None:
        self._client.enqueue(self._options("noop", number, 1), number, PAD)

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        self._client.enqueue(self._options("steps", first, stages), first, PAD, stages)

    async def close(self) -> None:
        self._client.destroy()

    @staticmethod
    def _options(name: str, number: int, count: int) -> Any:
        return {
            "workflow_name": name,
            "queue_name": _QUEUE,
            "workflow_id": f"{number}-{count}",
            "app_version": _VERSION,
        }


def main() -> int:
    dbos = DBOS(config=_config())
    DBOS.listen_queues([_QUEUE])
    DBOS.launch()
    if "--prepare" in sys.argv:
        DBOS.register_queue(_QUEUE, worker_concurrency=_CONCURRENCY, polling_interval_sec=_POLL)
        DBOS.destroy()
        return 0
    database = dbos._sys_db
    database.update_workflow_outcome = _marked(database.update_workflow_outcome)  # type: ignore[method-assign]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    DBOS.destroy()
    return 0


if __name__ == "__main__":
    sys.exit(main())
