"""What the ledger refuses. Each leaves the ledger as it was.

FleetError
  LedgerError
    StaleEpoch      another worker, or the sweeper, has moved the task on
    IllegalMove     the state table has no such move
    MovedOn         the task was tried again since it was looked at
    JobEnded        the redrive is done already
    WorkerGone      the worker is not there any more
    IllegalRecord   the record does not fit the task's stage
    UnknownRow      no run or task of this id, or more than one of this prefix
    VoteRefused     an approval or refusal that does not count
    OverAllowance   a run that its tenant's allowance has no room for
    LedgerMissing   there is no ledger at this address
    DriverMissing   what speaks to this kind of database is not installed
    LedgerBusy      the database stayed locked or away for longer than the writer waits
    LedgerClosed    the ledger was closed before this was written
"""

from typing import Any

from contracts.allowance import Quota
from contracts.states import State
from fleet.errors import FleetError


class LedgerError(FleetError):
    """The family of what the ledger refuses."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled as it stands: most are not made from what their message is made from.
        return _as_it_was, (type(self), self.args), self.__dict__


def _as_it_was(kind: type[LedgerError], told: tuple[Any, ...]) -> LedgerError:
    error = kind.__new__(kind)
    error.args = told
    return error


class StaleEpoch(LedgerError):
    """The task was moved on since it was claimed. Nothing was written; settle nothing twice."""

    def __init__(self, task: str, epoch: int, current: int | None, state: State | None) -> None:
        now = "is unknown" if state is None else f"is {state} at epoch {current}"
        super().__init__(f"task {task} {now}; what epoch {epoch} brought was not recorded")
        self.task, self.epoch, self.current, self.state = task, epoch, current, state


class IllegalMove(LedgerError):
    """The state table does not allow this move. Nothing was written."""

    def __init__(self, what: str, old: State, new: State) -> None:
        super().__init__(f"{what} is {old} and cannot become {new}; nothing was written")
        self.old, self.new = old, new


class MovedOn(LedgerError):
    """The task was tried again since the attempt that was meant. Nothing was written."""

    def __init__(self, task: str, attempt: int, current: int) -> None:
        super().__init__(
            f"task {task} is at attempt {current}, not {attempt}: it was tried again meanwhile;"
            " nothing was written"
        )
        self.task, self.attempt, self.current = task, attempt, current


class JobEnded(LedgerError):
    """A job that is done cannot be cancelled."""


class WorkerGone(LedgerError):
    """A worker that has ended cannot be asked to."""


class IllegalRecord(LedgerError):
    """The record does not fit the task's stage. Nothing was written."""


class UnknownRow(LedgerError):
    """No run or task has this id or prefix, or several have this prefix."""


class VoteRefused(LedgerError):
    """An approval or refusal that does not count. Nothing was written."""

    def __init__(self, task: str, why: str) -> None:
        super().__init__(f"task {task}: {why}; nothing was written")


class OverAllowance(LedgerError):
    """The tenant's allowance has no room for the run. Nothing was reserved, and no run started."""

    def __init__(self, tenant: str, over: tuple[Quota, ...]) -> None:
        super().__init__(f"tenant {tenant} is over {', '.join(over)}; the run was not started")
        self.tenant, self.over = tenant, over


class LedgerMissing(LedgerError):
    """There is no ledger at this address yet."""


class LedgerBusy(LedgerError):
    """The database stayed locked or away for longer than the writer waits. Nothing was written."""


class LedgerClosed(LedgerError):
    """The ledger was closed before this was written."""


class DriverMissing(LedgerError):
    """This machine cannot speak to that kind of database. Nothing was read or written."""
