"""SAQ over Redis; worker by the command `saq`.

A chain is made by the task, which sends the next.
"""

import os
from typing import Any

from saq import Queue

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one

queue = Queue.from_url(os.environ["BENCH_REDIS"])


async def noop(_: Any, *, number: int, pad: str, left: int = 0) -> None:
    marks().started(number)
    if left:
        await queue.enqueue("noop", number=number + 1, pad=pad, left=left - 1)


async def _recorded(context: Any) -> None:
    marks().recorded(context["job"].kwargs["number"])


settings = {
    "queue": queue,
    "functions": [noop],
    "concurrency": 50,
    "after_process": _recorded,
}


class Sender:
    async def open(self) -> None:
        await queue.connect()

    async def send(self, number: int) -> None:
        await queue.enqueue("noop", number=number, pad=PAD)

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        await queue.enqueue("noop", number=first, pad=PAD, left=stages - 1)

    async def close(self) -> None:
        await queue.disconnect()
