"""The event loop of a process: uvloop's where it is made for the platform, else asyncio's own."""

import asyncio
from collections.abc import Coroutine


def run(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end, as asyncio.run does."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
