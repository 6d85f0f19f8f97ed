"""A busy worker is dear to lose: its pod says so, and a scale-down takes idle pods first.

Said when it changes, not more often than every few seconds: each word is a write to the cluster's
API. Nothing rests on it; a pod that is taken all the same hands its work back.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from fleet.cluster.errors import ClusterRefused, ClusterUnavailable
from fleet.cluster.own_pod import OwnPod

_log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two looks."""


async def keep_told(
    own: OwnPod, running: Callable[[], int], done: asyncio.Event, every: float = EVERY
) -> None:
    """Tell the cluster until `done`. A refusal (no rights) is logged, and it is let be."""
    told: bool | None = None
    while not done.is_set():
        busy = running() > 0
        if busy is not told:
            try:
                await asyncio.to_thread(own.dear, busy=busy)
                told = busy
            except ClusterUnavailable as cause:
                _log.warning("%s", cause)
            except ClusterRefused as cause:
                _log.error("scale-down will not spare this pod: %s", cause)
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), every)
