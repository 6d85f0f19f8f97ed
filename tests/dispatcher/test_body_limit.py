"""The limit on request bodies."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from dispatcher.body_limit import BodyLimit


async def _length(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with the length of what it was sent."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def _client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(BodyLimit(_length, limit=100))
    return httpx.AsyncClient(transport=transport, base_url="http://dispatcher")


async def _pieces(*sizes: int) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size


@pytest.mark.parametrize("size", [0, 1, 100])
async def test_a_body_within_the_limit_passes_whole(size: int) -> None:
    """Announced or in pieces, the application reads every byte."""
    async with _client() as client:
        announced = await client.post("/", content=b"x" * size)
        in_pieces = await client.post("/", content=_pieces(size // 2, size - size // 2))

    assert (announced.text, in_pieces.text) == (str(size), str(size))


async def test_a_longer_body_is_refused() -> None:
    """413 with a problem that names the limit; without an announced length too."""
    async with _client() as client:
        announced = await client.post("/", content=b"x" * 101)
        in_pieces = await client.post("/", content=_pieces(60, 60, 60))

    for answer in (announced, in_pieces):
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == "a request may have 100 bytes"
