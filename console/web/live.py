"""Server-sent events: a page is told that what it shows has moved, and asks for itself again."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from console.web.visit import Visited
from fleet.ledger.pulse import Moved

_ALIVE = 15.0
"""Seconds after which a silent stream says that it is there."""


def serve_live(app: FastAPI) -> None:
    """Add the stream to `app`."""

    @app.get("/live")
    async def live(visit: Visited, topic: str = "fleet") -> StreamingResponse:
        """`topic`: `fleet`, or `run:ID`, or `task:ID`. What moved is never named: an id alone says
        nothing, but it is nobody else's business."""
        events = _events(visit, topic)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )


async def _events(visit: Visited, topic: str) -> AsyncIterator[str]:
    kind, _, name = topic.partition(":")
    stopping: asyncio.Event = visit.request.app.state.stopping
    stop = asyncio.ensure_future(stopping.wait())
    try:
        async with visit.site.beat.watched() as moves:
            # What moved before this stream was open is seen by asking once more.
            yield "retry: 1000\nevent: moved\ndata: opened\n\n"
            while not stopping.is_set():
                move = asyncio.ensure_future(moves.get())
                done, _ = await asyncio.wait(
                    {move, stop}, timeout=_ALIVE, return_when=asyncio.FIRST_COMPLETED
                )
                if move in done:
                    if _concerns(move.result(), kind, name):
                        yield "event: moved\ndata: moved\n\n"
                    continue
                move.cancel()
                yield ": still here\n\n"
    finally:
        stop.cancel()


def _concerns(moved: Moved, kind: str, name: str) -> bool:
    if kind == "run":
        return moved.many or name in moved.runs
    if kind == "task":
        return moved.many or name in moved.tasks
    return True
