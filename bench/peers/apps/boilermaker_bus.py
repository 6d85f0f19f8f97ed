"""boilermaker-servicebus over localbus; with BENCH_BLOB its result store, else none.

Run as a module it is the worker: the documented loop, one message at a time.
"""

import asyncio
import logging
import os
import sys
from typing import Any

from aio_azure_clients_toolbox import ManagedAzureServiceBusSender
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import ContainerClient
from boilermaker import Boilermaker
from boilermaker.storage import BlobClientStorage

from bench.peers.marks import marks
from bench.peers.send import PAD, one_by_one

_QUEUE = "bench"
_CONTAINER = "results"
_BLOB = "BENCH_BLOB"


class State:
    """boilermaker keeps a weak reference to it."""


class MarkedBoilermaker(Boilermaker):
    """Marks a task once its message is completed: after its result was stored, where it is."""

    async def message_handler(self, msg: Any, receiver: Any) -> None:
        await super().message_handler(msg, receiver)
        marks().recorded(_number(msg))


def _number(msg: Any) -> int:
    """The task's number, out of the JSON that boilermaker wrote."""
    text = str(msg)
    start = text.index('"args":[') + len('"args":[')
    return int(text[start : text.index(",", start)])


async def noop(_: State, number: int, pad: str) -> None:
    marks().started(number)


def _storage() -> BlobClientStorage | None:
    if _BLOB not in os.environ:
        return None
    return BlobClientStorage(os.environ[_BLOB], _CONTAINER, _credential())


def _credential() -> Any:
    """The account's key, in place of an Entra login."""
    return AzureNamedKeyCredential(os.environ["BENCH_BLOB_NAME"], os.environ["BENCH_BLOB_KEY"])


def made(state: State) -> Boilermaker:
    """The app, with its one task."""
    bus = ManagedAzureServiceBusSender(
        "localbus", _QUEUE, connection_string=os.environ["BENCH_BUS"], ready_message="{}"
    )
    boilermaker = MarkedBoilermaker(state, bus, results_storage=_storage())
    boilermaker.register_async(noop)
    return boilermaker


class Sender:
    async def open(self) -> None:
        self._state = State()
        self._app = made(self._state)

    async def send(self, number: int) -> None:
        await self._app.apply_async(noop, number, PAD)

    async def send_all(self, numbers: range) -> None:
        await one_by_one(self, numbers)

    async def send_chain(self, first: int, stages: int) -> None:
        numbers = range(first, first + stages)
        tasks = [self._app.create_task(noop, number, PAD) for number in numbers]
        await self._app.publish_task(self._app.chain(*tasks))

    async def close(self) -> None:
        await self._app.close()


async def _prepare() -> None:
    if _BLOB in os.environ:
        async with ContainerClient(os.environ[_BLOB], _CONTAINER, _credential()) as container:
            await container.create_container()


async def _work() -> None:
    state = State()
    await made(state).run()


def main() -> int:
    logging.disable(logging.WARNING)
    asyncio.run(_prepare() if "--prepare" in sys.argv else _work())
    return 0


if __name__ == "__main__":
    sys.exit(main())
