"""Waiting for what another process does, with a limit."""

import threading
import time
from collections.abc import Callable

LIMIT = 30.0


def until(true: Callable[[], bool], limit: float = LIMIT) -> None:
    """Return once `true` says so. Fails after `limit` seconds."""
    deadline = time.monotonic() + limit
    pause = threading.Event()
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.02)
