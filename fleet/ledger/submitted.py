"""What is submitted to a writer, and how it is answered."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.ledger.batches import Operation


@dataclass(slots=True)
class Submitted:
    """An operation with its argument; a caller that waits, or somebody to tell of a failure."""

    operation: Operation[Any, Any]
    argument: Any
    future: asyncio.Future[Any] | None
    lost: Callable[[Exception], None] | None = None


def hand_out(
    batch: Sequence[Submitted], answers: Sequence[Any], here: asyncio.AbstractEventLoop | None
) -> None:
    """Give each its answer. `here`: the loop that this is called in; others are woken once each."""
    elsewhere: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for submitted, answer in zip(batch, answers, strict=True):
        future = submitted.future
        if future is None:
            if isinstance(answer, Exception) and submitted.lost is not None:
                submitted.lost(answer)
        elif (loop := future.get_loop()) is here:
            _settle(future, answer)
        else:
            elsewhere.setdefault(loop, []).append((future, answer))
    for loop, pairs in elsewhere.items():
        try:
            loop.call_soon_threadsafe(_settle_all, pairs)
        except RuntimeError:  # that loop has ended: nobody waits there any more
            continue


def _settle_all(pairs: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in pairs:
        _settle(future, answer)


def _settle(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():  # the caller stopped waiting
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
