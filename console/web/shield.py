"""Headers on every answer: nothing from elsewhere is loaded, framed, sent to or guessed at."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

CONTENT_SECURITY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = (
    ("content-security-policy", CONTENT_SECURITY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # `same-origin`, not `no-referrer`: browsers then send no Origin with a form either.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NO_STORE = ("cache-control", "no-store")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Shield:
    """An ASGI middleware. An answer that says how it is cached keeps what it says."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                there = {name.lower() for name, _ in headers}
                for name, value in (*HEADERS, _NO_STORE):
                    if name.encode() not in there:
                        headers.append((name.encode(), value.encode()))
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)
