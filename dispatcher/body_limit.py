"""A limit on request bodies, held before anything is parsed, announced length or not."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatcher.problems import problem

MAX_BODY = 256 * 1024
"""In bytes. A request names sources and artifacts; it carries no data."""


class BodyLimit:
    """ASGI middleware: 413 for a longer body. Bodies within the limit are held in memory."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []
        size, more = self._announced(scope), True
        while more and size <= self._limit:
            message = await receive()
            messages.append(message)
            more = message.get("more_body", False)
            size = sum(len(message.get("body", b"")) for message in messages)
        if size > self._limit:
            detail = f"a request may have {self._limit} bytes"
            answer = problem(413, "too-large", "The body is too large", detail)
            await answer(scope, receive, send)
            return
        messages.reverse()

        async def replayed() -> Message:
            return messages.pop() if messages else await receive()

        await self._app(scope, replayed, send)

    def _announced(self, scope: Scope) -> int:
        told = dict(scope["headers"]).get(b"content-length", b"")
        return int(told) if told.isdigit() and len(told) < 20 else 0
