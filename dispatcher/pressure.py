"""Backpressure: what asks for something is taken on only as fast as it can be written down.

While the ledger or the store is slow, requests wait; only so many, though, for each holds memory
and its sender's patience. Who comes then is told to come again, at once and before anything of the
request is looked at, so that nothing is half taken. Looking is never refused.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from dispatcher.problems import problem

PLACES = 64
"""Requests that change something, at the same time."""
SLOW = 2.0
"""Seconds for one of the ledger's transactions after which nothing more is taken on."""

_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


class Pressure:
    """ASGI middleware: 429 when all places are taken, 503 while the ledger stands still; both with
    Retry-After. `stalled`: seconds that the ledger's transaction at hand has taken so far."""

    def __init__(
        self,
        app: ASGIApp,
        stalled: Callable[[], float],
        places: int = PLACES,
        slow: float = SLOW,
    ) -> None:
        self._app, self._stalled, self._places, self._slow = app, stalled, places, slow
        self._taken = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _LOOKS:
            await self._app(scope, receive, send)
        elif self._stalled() > self._slow:
            detail = "the ledger is slow or locked; nothing was taken on"
            headers = {"Retry-After": "5"}
            answer = problem(
                503, "unavailable", "Not possible now, try again", detail, headers=headers
            )
            await answer(scope, receive, send)
        elif self._taken >= self._places:
            detail = f"{self._places} requests are being taken on already; this one was not"
            headers = {"Retry-After": "1"}
            answer = problem(
                429, "too-many", "Too many requests at once, try again", detail, headers=headers
            )
            await answer(scope, receive, send)
        else:
            self._taken += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._taken -= 1
