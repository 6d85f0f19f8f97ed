"""The sender, in a process of its own: `python -m bench.peers.send APP --count N [...]`.

Prints JSON: the seconds from the first task to the last one taken by the broker.
"""

import argparse
import asyncio
import importlib
import json
import sys
import time
from typing import Protocol

from bench.peers.marks import marks

STAGES = 7
PAD = "x" * 160
"""With its number and names a task's body has about 200 bytes."""


class Sender(Protocol):
    """What every app has. `numbers` are those of the tasks."""

    async def open(self) -> None: ...
    async def send(self, number: int) -> None: ...
    async def send_all(self, numbers: range) -> None: ...
    async def send_chain(self, first: int, stages: int) -> None: ...
    async def close(self) -> None: ...


async def one_by_one(sender: Sender, numbers: range) -> None:
    """`send_all` of a peer that has no batches."""
    for number in numbers:
        await sender.send(number)


async def _sent(sender: Sender, given: argparse.Namespace) -> float:
    await sender.open()
    try:
        began = time.perf_counter()
        numbers = range(given.first, given.first + given.count)
        if given.chains:
            for first in numbers[::STAGES]:
                await sender.send_chain(first, STAGES)
        elif given.rate:
            await _paced(sender, numbers, given.rate)
        else:
            await sender.send_all(numbers)
        return time.perf_counter() - began
    finally:
        await sender.close()


async def _paced(sender: Sender, numbers: range, rate: float) -> None:
    """One task every 1/rate seconds; a late one does not move those after it."""
    began = time.perf_counter()
    for place, number in enumerate(numbers):
        wait = began + place / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        marks().sent(number)
        await sender.send(number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers.send", description=__doc__)
    parser.add_argument("app")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, help="tasks a second; default: as fast as it goes")
    parser.add_argument("--chains", action="store_true", help=f"chains of {STAGES}")
    given = parser.parse_args()
    sender: Sender = importlib.import_module(f"bench.peers.apps.{given.app}").Sender()
    seconds = asyncio.run(_sent(sender, given))
    sys.stdout.write(json.dumps({"seconds": seconds}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
