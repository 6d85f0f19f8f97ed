"""The HTTP server by itself: what it answers when its handler, or a client, is at fault."""

from __future__ import annotations

import asyncio
import logging

import pytest

from localbus.admin.http import AdminServer, HttpRequest, HttpResponse


class Faulty:
    """A handler with a defect: it fails on every path but one."""

    async def handle(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/fine":
            return HttpResponse(200, b"ok")
        raise ZeroDivisionError("a secret of the inside")


async def ask(port: int, *requests: bytes) -> list[bytes]:
    """The answers to requests on one connection, each a head and a body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        answers = []
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            answers.append(head + await reader.readexactly(length))
        return answers
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_defect_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception nobody foresaw is status 500 in plain words, its cause only in the log, and the
    same connection is served on."""
    with caplog.at_level(logging.ERROR):
        async with AdminServer(Faulty(), "127.0.0.1", 0, None) as server:
            broken, fine = await ask(
                server.port, b"GET /broken HTTP/1.1\r\n\r\n", b"GET /fine HTTP/1.1\r\n\r\n"
            )

    assert broken.startswith(b"HTTP/1.1 500 ")
    assert b"text/plain" in broken
    assert b"secret" not in broken
    assert fine.endswith(b"ok")
    [record] = caplog.records
    assert "/broken" in record.getMessage()
    assert "a secret of the inside" in caplog.text


@pytest.mark.parametrize("length", [b"1048577", b"9" * 5_000])
async def test_a_length_out_of_bounds_is_refused(length: bytes) -> None:
    """A request that announces more than the bound is refused, however long the number is."""
    request = b"PUT /q HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n"

    async with AdminServer(Faulty(), "127.0.0.1", 0, None) as server:
        [answer] = await ask(server.port, request)

    assert answer.startswith(b"HTTP/1.1 413 ")
