"""The event loop of a process: uvloop's where it is made for the platform, else asyncio's own.

The garbage collector is kept from what was imported, and looks for cycles after 50,000 new objects
instead of 700: a worker makes hundreds for a task, and hardly ever a cycle.
"""

import asyncio
import gc
from collections.abc import Coroutine


def run(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end, as asyncio.run does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
