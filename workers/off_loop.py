"""Off the event loop, but only what blocks: a hop to a thread costs more than most short steps."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def off_loop_if(blocks: bool, call: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """What `call` gives; in a thread where it would block the loop."""
    if blocks:
        return await asyncio.to_thread(call, *given, **named)
    return call(*given, **named)
