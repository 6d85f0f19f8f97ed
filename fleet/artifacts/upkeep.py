"""Keeping this machine's part of the artifact store tidy."""

import asyncio
import logging
from datetime import timedelta

from fleet.artifacts.store import ArtifactStore
from fleet.clock import Clock

LEFT = timedelta(days=1)
"""How long nobody must have touched what is removed: well past the longest put."""

_log = logging.getLogger(__name__)


async def tidied(store: ArtifactStore, clock: Clock) -> bool:
    """Remove what crashes have left. A step of a loop: says that no more is to be done now."""
    removed = await asyncio.to_thread(store.sweep, clock.now() - LEFT)
    if removed:
        _log.info("%d files that crashes had left in the artifact store were removed", removed)
    return False
