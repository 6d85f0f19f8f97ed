"""What a command ends with when it does not end well, and the exit code of each.

FleetError
  ConsoleError
    RunFailed     the run, or its verification, did not end well: exit 1
    Refused       what was asked cannot be done as asked: exit 2
    Unreachable   the stack, or a part of it, cannot be reached: exit 3

The codes are documented in docs/reference/cli.md.
"""

import sys
from enum import IntEnum

from fleet.errors import FleetError


class ExitCode(IntEnum):
    """What `fleet` tells the shell."""

    OK = 0
    FAILED = 1  # the run failed, or verification found a difference
    REFUSED = 2  # wrong usage, or a request that was refused
    UNREACHABLE = 3  # no stack, or a part of it does not answer
    INTERNAL = 70  # a fault of this program (EX_SOFTWARE of sysexits.h)
    INTERRUPTED = 130  # Ctrl-C (128 + SIGINT)


class ConsoleError(FleetError):
    """The message is one plain line that says what to do; details may follow on lines of their
    own."""

    exit_code = ExitCode.REFUSED


class RunFailed(ConsoleError):
    """A run, or its verification, did not end well. It is recorded; nothing is undone."""

    exit_code = ExitCode.FAILED


class Refused(ConsoleError):
    """What was asked cannot be done as asked. Nothing was done."""

    exit_code = ExitCode.REFUSED


class Unreachable(ConsoleError):
    """The stack, or a part of it, is not there or does not answer."""

    exit_code = ExitCode.UNREACHABLE


def exit_code_of(cause: FleetError) -> ExitCode:
    """The exit code that tells a script what kind of trouble `cause` is."""
    from fleet.bus.errors import BusUnavailable
    from fleet.cluster.errors import ClusterUnavailable
    from fleet.ledger.errors import LedgerBusy, LedgerMissing

    if isinstance(cause, ConsoleError):
        return cause.exit_code
    if isinstance(cause, BusUnavailable | ClusterUnavailable | LedgerBusy | LedgerMissing):
        return ExitCode.UNREACHABLE
    return ExitCode.REFUSED


def as_ledger_fault(cause: Exception) -> Unreachable | None:
    """An error of the database as one plain line; None for any other error.

    The driver's own words are left out: they can hold an address, and they are not plain.
    """
    # Where SQLAlchemy was never imported, nothing of it can have been raised.
    family = getattr(sys.modules.get("sqlalchemy.exc"), "SQLAlchemyError", None)
    if family is None or not isinstance(cause, family):
        return None
    return Unreachable(
        f"the ledger does not answer ({type(cause).__name__}): is it the fleet's, and of this "
        "version? `fleet config` shows where it is looked for"
    )
