"""uvicorn inside the process's own loop: it takes no signals and says when it listens."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from fleet.errors import FleetError

DRAIN = 10
"""Seconds that open requests have to finish in when the process stops."""


class AddressTaken(FleetError):
    """The address to listen on cannot be had. Nothing was started."""


class HttpServer:
    """Serves one application on one address. Port 0 takes a free one.

    Raises AddressTaken when it is built: the port is held from then on.
    """

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.listening = asyncio.Event()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=DRAIN,
        )
        self._server = _Embedded(config, self.listening)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish the requests at hand."""
        try:
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._server.serve(sockets=[self._socket]))
                stopping = group.create_task(stop.wait())
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                self._server.should_exit = True
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the port. `run` does so itself; closing twice is harmless."""
        self._socket.close()


class _Embedded(uvicorn.Server):
    """A server that leaves signals to the process: they only set an event, for all parts alike."""

    def __init__(self, config: uvicorn.Config, listening: asyncio.Event) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as cause:
        bound.close()
        raise AddressTaken(f"cannot listen on {host} port {port}: {cause.strerror}") from None
    return bound
