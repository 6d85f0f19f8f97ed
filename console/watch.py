"""Runs followed in the ledger until they have closed."""

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from console.errors import RunFailed
from contracts.states import FINAL
from fleet.ledger.rows import RunDetail, RunRow

if TYPE_CHECKING:
    from fleet.ledger.reader import LedgerReader

_LOOK = 0.2
"""Seconds between looks: what a person takes for at once, at a cost nobody notices."""
_BUSY_LOOK = 0.5
"""The same for many runs, which have the machine's few cores busy."""


class WaitedTooLong(RunFailed):
    """A run has not closed in time. It goes on."""

    def __init__(self, run: str, timeout: float) -> None:
        super().__init__(
            f"run {run} has not ended after {timeout:g} s and goes on; see `fleet run {run}`"
        )


def watch_run(
    reader: "LedgerReader",
    run: str,
    *,
    seen: Callable[[RunDetail], None],
    tend: Callable[[], None],
    timeout: float | None,
) -> RunDetail:
    """The run once it has closed; `seen` is told of it at every look, `tend` called between.

    Raises WaitedTooLong after `timeout` seconds.
    """
    until = _until(timeout)
    while True:
        detail = reader.run(run)
        seen(detail)
        if detail.state in FINAL:
            return detail
        if time.monotonic() >= until:
            raise WaitedTooLong(run, timeout or 0)
        tend()
        time.sleep(_LOOK)


def watch_runs(
    reader: "LedgerReader",
    runs: Collection[str],
    *,
    seen: Callable[[list[RunRow]], None],
    tend: Callable[[], None],
    timeout: float,
) -> list[RunRow]:
    """The same for several runs, in the order given."""
    wanted = {run: place for place, run in enumerate(runs)}
    until = _until(timeout)
    while True:
        rows = [row for row in reader.runs(limit=10 * len(wanted)) if row.run in wanted]
        rows.sort(key=lambda row: wanted[row.run])
        seen(rows)
        open_ = [row.run for row in rows if row.state not in FINAL]
        if not open_ and len(rows) == len(wanted):
            return rows
        if time.monotonic() >= until:
            raise WaitedTooLong(open_[0] if open_ else next(iter(wanted)), timeout)
        tend()
        time.sleep(_BUSY_LOOK)


def _until(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout
