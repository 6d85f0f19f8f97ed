"""TaskIQ over a Redis stream, which acknowledges; worker by the command `taskiq`.

Chains are made by the task, which sends the next: TaskIQ's pipelines are a package of their own.
"""

import os
from typing import Any

from taskiq import TaskiqMiddleware
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one


class Recorded(TaskiqMiddleware):
    def post_save(self, message: Any, result: Any) -> None:
        marks().recorded(message.args[0])


_url = os.environ["BENCH_REDIS"]
broker = (
    RedisStreamBroker(_url)
    .with_result_backend(RedisAsyncResultBackend(_url, result_ex_time=3600))
    .with_middlewares(Recorded())
)


@broker.task(task_name="noop")
async def noop(number: int, pad: str, left: int = 0) -> None:
    marks().started(number)
    if left:
        await noop.kiq(number + 1, pad, left - 1)


class Sender:
    async def open(self) -> None:
        await broker.startup()

    async def send(self, number: int) -> None:
        await noop.kiq(number, PAD)

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        await noop.kiq(first, PAD, stages - 1)

    async def close(self) -> None:
        await broker.shutdown()
