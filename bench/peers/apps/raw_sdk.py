"""The ceiling: azure-servicebus alone, received in batches and completed together. No task is run.

Run as a module it is the worker. A chain is made by the receiver, which sends the next message.
"""

import asyncio
import contextlib
import os
import signal
import sys

import uvloop
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from bench.peers.marks import marks
from bench.peers.send import PAD

_QUEUE = "bench"
_BATCH = 100


def _client() -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(os.environ["BENCH_BUS"])


def _message(number: int, left: int = 0) -> ServiceBusMessage:
    return ServiceBusMessage(f"{number} {left} {PAD}")


class Sender:
    async def open(self) -> None:
        self._client = _client()
        self._sender = self._client.get_queue_sender(_QUEUE)

    async def send(self, number: int) -> None:
        await self._sender.send_messages(_message(number))

    async def send_all(self, numbers: range) -> None:
        for start in range(0, len(numbers), _BATCH):
            await self._sender.send_messages(
                [_message(number) for number in numbers[start : start + _BATCH]]
            )

    async def send_chain(self, first: int, stages: int) -> None:
        await self._sender.send_messages(_message(first, stages - 1))

    async def close(self) -> None:
        await self._sender.close()
        await self._client.close()


async def _work() -> None:
    working = asyncio.current_task()
    assert working is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    async with (
        _client() as client,
        client.get_queue_receiver(_QUEUE) as receiver,
        client.get_queue_sender(_QUEUE) as sender,
    ):
        wanted = 1
        while True:
            carried = await _carry(receiver, sender, wanted)
            # More than one is asked for only of a full queue: else the SDK waits 0.2 s for more.
            wanted = min(2 * wanted, _BATCH) if carried == wanted else 1


async def _carry(receiver: ServiceBusReceiver, sender: ServiceBusSender, wanted: int) -> int:
    received = await receiver.receive_messages(wanted, max_wait_time=5)
    tasks = [tuple(map(int, str(message).split(" ", 2)[:2])) for message in received]
    for number, _ in tasks:
        marks().started(number)
    if following := [_message(number + 1, left - 1) for number, left in tasks if left]:
        await sender.send_messages(following)
    await asyncio.gather(*map(receiver.complete_message, received))
    for number, _ in tasks:
        marks().recorded(number)
    return len(received)


def main() -> int:
    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(_work())
    return 0


if __name__ == "__main__":
    sys.exit(main())
