"""A small HTTP/1.1 server: bounded requests, kept-alive connections, TLS when given a context.

Enough for management clients and for probes; no chunked requests, no upgrades.
Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, Self
from urllib.parse import parse_qs, unquote, urlsplit

_LOG = logging.getLogger(__name__)
_HEAD_BYTES = 16 << 10
_BODY_BYTES = 1 << 20
_IDLE_S = 60.0
_CONNECTIONS = 256
_END = "\r\n"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; header names are lower case, the path is decoded."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response; the server adds what HTTP needs."""

    status: int
    body: bytes = b""
    content_type: str = "application/atom+xml;type=entry;charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class Handler(Protocol):
    """What answers requests."""

    async def handle(self, request: HttpRequest) -> HttpResponse: ...


class _Refused(Exception):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class AdminServer:
    """An HTTP server for the length of an `async with`."""

    def __init__(self, handler: Handler, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.port = port
        self._handler = handler
        self._host = host
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self._host, self.port, ssl=self._tls, limit=_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= _CONNECTIONS:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client is gone or silent: there is nobody to tell
        except asyncio.CancelledError:
            pass  # the server is stopping; `__aexit__` waits for this task
        finally:
            self._connections.discard(task)
            transport = writer.transport
            if self._tls is not None:
                transport.abort()  # a TLS goodbye would wait for clients that never answer it
            else:
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        keep_alive = True
        while keep_alive:
            try:
                async with asyncio.timeout(_IDLE_S):
                    request = await _read(reader)
            except _Refused as refused:
                writer.write(_render(HttpResponse(refused.status), keep_alive=False))
                await writer.drain()
                return
            if request is None:
                return
            keep_alive = request.headers.get("connection", "").lower() != "close"
            response = await self._answer(request)
            writer.write(_render(response, keep_alive=keep_alive))
            await writer.drain()

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._handler.handle(request)
        except Exception:
            # The last resort of a server: the client is told, and the next request is served. The
            # path may be a peer's own text, so that it is logged as a literal.
            _LOG.exception("%r %r failed", request.method, request.path)
            return HttpResponse(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                b"localbus failed to answer this request; its log says why.\n",
                "text/plain; charset=utf-8",
            )


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Refused(HTTPStatus.BAD_REQUEST)
    headers = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        headers[name.strip().lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        raise _Refused(HTTPStatus.BAD_REQUEST)
    if len(length) > len(str(_BODY_BYTES)) or int(length) > _BODY_BYTES:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = await reader.readexactly(int(length))
    try:
        target = urlsplit(parts[1])
    except ValueError:
        raise _Refused(HTTPStatus.BAD_REQUEST) from None
    query = {name: values[-1] for name, values in parse_qs(target.query).items()}
    return HttpRequest(parts[0], unquote(target.path), query, headers, body)


def _render(response: HttpResponse, *, keep_alive: bool) -> bytes:
    head = (
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        f"{''.join(f'{name}: {value}{_END}' for name, value in response.headers.items())}"
        f"Connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
    )
    return head.encode("latin-1") + response.body
