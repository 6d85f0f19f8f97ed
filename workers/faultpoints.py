"""The numbered points of the executor, for tests that stop a process exactly there.

A worker without a fault plan passes each point with one call that does nothing. A plan comes from
an environment variable of a worker process, and from nowhere else: LEAF_FAULT_POINT=recorded:kill
kills it the first time it gets there, handled:stop:3 stops it (SIGSTOP) the third time.
"""

import itertools
import os
import signal
from collections.abc import Callable

from fleet.errors import FleetError

POINTS = (
    "opened",  # 1: the envelope is read, nothing is claimed
    "claimed",  # 2: the lease is committed
    "permitted",  # 3: the gate has said yes
    "laid-out",  # 4: inputs are proven
    "handled",  # 5: the handler has returned
    "stored",  # 6: outputs are in the store, nothing points to them
    "recorded",  # 7: the fact is committed, nothing is relayed
    "relayed",  # 8: the next envelopes are on the bus; a batch passes it once
    "settled",  # 9: the delivery is gone; maybe before 8
)
"""In the order of a delivery; a point is passed once what it names has happened."""

VARIABLE = "LEAF_FAULT_POINT"
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}

Point = Callable[[str], None]


class FaultPlanRefused(FleetError):
    """The variable does not name a point, a fault and, if it wants to, a count."""


def passed(point: str) -> None:
    """What a point is in a worker that nobody tests."""


def planned(plan: str | None) -> Point:
    """The hook for `point:fault[:count]`; without a plan, `passed`. Raises FaultPlanRefused."""
    if not plan:
        return passed
    point, _, rest = plan.partition(":")
    fault, _, count = rest.partition(":")
    if point not in POINTS or fault not in _SIGNALS or not (count or "1").isdigit():
        raise FaultPlanRefused(
            f"{VARIABLE}={plan!r}: wanted is one of {', '.join(POINTS)}, then :kill or :stop,"
            " then, if it is not the first time, :count"
        )
    return _Strike(point, _SIGNALS[fault], int(count or "1"))


class _Strike:
    """Sends this process a signal at one passage of one point."""

    def __init__(self, point: str, number: signal.Signals, count: int) -> None:
        self._point, self._number, self._count = point, number, count
        self._passages = itertools.count(1)

    def __call__(self, point: str) -> None:
        if point == self._point and next(self._passages) == self._count:
            os.kill(os.getpid(), self._number)
