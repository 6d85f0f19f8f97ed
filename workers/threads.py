"""Threads that run one handler each, and how such a thread is ended.

Python has no way to kill a thread. What there is: an exception that the interpreter raises in it
before its next instruction. That ends a loop in Python, also one that catches `Exception`; it does
not end a call into C (a socket, a sleep, a query) until that returns, nor a handler that swallows
everything. What withstands is left to `HandlerRunner`, which counts it.
"""

import contextvars
import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from contracts.outcome import Failed, Produced


class HandlerEnded(BaseException):
    """Raised in the thread of a handler that did not end when told to. Let it pass."""


class HandlerThread:
    """`call(*given)` in a thread of its own, begun at once; `outcome` is what it gives or raises.

    A pool of threads would lose a place to each handler that never ends, and the interpreter would
    wait for them at its exit; a daemon thread is just left.
    """

    def __init__(self, call: Callable[..., Produced | Failed], *given: Any) -> None:
        self.outcome: Future[Produced | Failed] = Future()
        self.outcome.set_running_or_notify_cancel()
        self._lock = threading.Lock()
        self._over = False
        # In the context of the attempt: what is logged there belongs to it.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._carry, call, given), name="stage", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Raise HandlerEnded in the handler, unless it is over. Again is harmless."""
        with self._lock:
            if not self._over and self._thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread.ident), ctypes.py_object(HandlerEnded)
                )

    def _carry(self, call: Callable[..., Produced | Failed], given: tuple[Any, ...]) -> None:
        try:
            try:
                outcome = call(*given)
            finally:
                with self._lock:
                    self._over = True
                for _ in range(2):  # the interpreter looks here: what was raised late arrives now
                    pass
        except BaseException as cause:  # handed on, to whoever waits
            self.outcome.set_exception(cause)
        else:
            self.outcome.set_result(outcome)
