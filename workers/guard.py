"""The one place where what a handler raises becomes a Failed."""

import logging
from collections.abc import Callable
from typing import TypeVar

from contracts.outcome import Failed, Fault, FaultKind, Produced
from fleet.telemetry.redact import redacted
from workers.stages.handler import AsyncRun, StageFault, Workbench

_log = logging.getLogger(__name__)
T = TypeVar("T")


def guarded(run: Callable[[T], Produced | Failed], bench: T) -> Produced | Failed:
    """A handler's outcome, whatever it raises; `sys.exit()` in a library is a failure as well."""
    try:
        return run(bench)
    except (Exception, SystemExit) as cause:  # the single place where an exception becomes Failed
        return failed(cause)


async def guarded_async(run: AsyncRun, bench: Workbench) -> Produced | Failed:
    """The asynchronous face of `guarded`."""
    try:
        return await run(bench)
    except (Exception, SystemExit) as cause:  # see `guarded`
        return failed(cause)


def failed(cause: BaseException) -> Failed:
    """A stated fault as it is; anything else as a fault that a second try may cure."""
    if isinstance(cause, StageFault):
        _log.warning("the handler failed: %s", cause.fault.code, exc_info=cause)
        return Failed(fault=cause.fault)
    name = type(cause).__name__
    _log.warning("the handler failed", exc_info=cause)
    return Failed(
        fault=Fault(
            kind=FaultKind.TRANSIENT, code=f"handler.{name}", message=redacted(str(cause)) or name
        )
    )
