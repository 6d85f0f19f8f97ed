"""The event loop of a process: uvloop's where it is made for the platform, else asyncio's own.

The garbage collector is kept from what was imported, and looks for cycles after 50,000 new objects
instead of 700: a worker makes hundreds for a task, and hardly ever a cycle. Once a minute it looks
at all: a connection that the other side cut is a cycle, and holds its socket until then.
"""

import asyncio
import gc
from collections.abc import Coroutine

_ALL_EVERY = 60.0
"""Seconds; takes 10 to 30 ms."""


def run(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end, as asyncio.run does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_tidied(main))
    else:
        uvloop.run(_tidied(main))


async def _tidied(main: Coroutine[object, object, None]) -> None:
    loop = asyncio.get_running_loop()

    def tidy() -> None:
        gc.collect()
        loop.call_later(_ALL_EVERY, tidy)

    loop.call_later(_ALL_EVERY, tidy)
    await main
