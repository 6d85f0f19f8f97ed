"""Celery: tasks acknowledged after their result is stored; worker by the command `celery`."""

import os
from typing import Any

from celery import Celery, chain, signals

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend=os.environ["BENCH_REDIS"])
app.conf.update(
    task_acks_late=True,  # else a killed worker loses what it has prefetched
    worker_prefetch_multiplier=128,  # "Optimizing": many short tasks
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_connection_retry_on_startup=True,
    result_expires=3600,
    task_default_queue="bench",
)


@app.task(name="noop")
def noop(number: int, pad: str) -> None:
    marks().started(number)


@signals.task_postrun.connect  # after the result backend has the result
def _recorded(args: Any = (), **_: Any) -> None:
    marks().recorded(args[0])


class Sender:
    async def open(self) -> None:
        noop.app.pool  # noqa: B018 - connections are kept for life

    async def send(self, number: int) -> None:
        noop.apply_async((number, PAD))

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        chain(noop.si(number, PAD) for number in range(first, first + stages)).apply_async()

    async def close(self) -> None:
        app.close()
