"""A TCP proxy on a thread of its own: its connections are cut, or swallow what they carry."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any


class Proxy:
    """Listens on `port`, forwards to `target` on the loopback. Call from any thread."""

    def __init__(self, target: int) -> None:
        self.port, self._target = 0, target
        self._deaf = False
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def cut(self) -> None:
        """End every connection without a goodbye."""
        self._call(self._cut())

    def deaf(self, deaf: bool) -> None:
        """While deaf, connections stand and nothing passes."""
        self._deaf = deaf

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, forth}
        self._writers |= pair
        pumps = [
            asyncio.create_task(self._pump(reader, forth)),
            asyncio.create_task(self._pump(back, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for one in pair:
            one.transport.abort()
        self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if self._deaf:
                    continue
                writer.write(data)
                await writer.drain()

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


@contextlib.contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """A proxy for the length of the block."""
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy._loop.run_forever, daemon=True)
    thread.start()
    proxy._call(proxy._serve())
    try:
        yield proxy
    finally:
        proxy._call(proxy._close())
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        thread.join(5)
        proxy._loop.close()
