"""Cancelling a run, a task, or all open runs that a filter means, from the command line."""

from collections.abc import Sequence
from typing import Any

from console import output
from console.errors import Refused
from console.render.run import runs_table
from console.site import Site
from contracts.states import FINAL, RUN_STATES
from fleet.clock import SystemClock
from fleet.ledger.browse import LedgerBrowser, RunFilter
from fleet.ledger.rows import RunRow

_PAGE = 500


def open_runs(site: Site, wanted: RunFilter, *, most: int) -> list[RunRow]:
    """The runs that have not ended and are meant, newest first.

    Raises Refused where more than `most` are meant.
    """
    found: list[RunRow] = []
    with site.browser() as browser:
        for state in sorted(RUN_STATES - FINAL):
            of_state = wanted.model_copy(update={"state": state})
            found += _all(browser, of_state, most - len(found))
            if len(found) > most:
                raise Refused(
                    f"more than {most:,} open runs are meant; none was cancelled. Say more, or "
                    "raise --limit"
                )
    return sorted(found, key=lambda run: (run.submitted, run.run), reverse=True)


def cancel_one(
    site: Site, run: str | None, task: str | None, asked: dict[str, Any], *, as_json: bool
) -> None:
    """Cancel a run or, where none is named, a task, and say what came of it."""
    with site.intake() as intake:
        told = intake.cancel(*(("tasks", task or "") if run is None else ("runs", run)), asked)
    if as_json:
        output.answer_json(told)
        return
    what = f"task {task}" if run is None else f"run {told.run}"
    if told.running:
        count = "1 task" if told.running == 1 else f"{told.running} tasks"
        output.answer(
            f"{what}: its cancellation is asked for; {count} still to stop. "
            f"Follow it with `fleet run {told.run} --watch`; --force does not wait"
        )
    else:
        output.answer(f"{what} is {told.state}")


def said_dry(runs: Sequence[RunRow], *, as_json: bool) -> None:
    """Say which would be cancelled."""
    if as_json:
        output.answer_rows(runs)
        return
    if runs:
        now = SystemClock().now()
        plain, wide = output.ascii_only(), output.is_wide()
        output.stdout().print(runs_table(runs, now, plain=plain, wide=wide))
    output.answer(f"{_counted(len(runs))} would be cancelled; nothing was done")


def cancel_all(site: Site, runs: Sequence[RunRow], asked: dict[str, Any], *, as_json: bool) -> bool:
    """Cancel each, say what came of it; whether all could be."""
    refused = 0
    with site.intake() as intake:
        for run in runs:
            try:
                told = intake.cancel("runs", run.run, asked)
            except Refused as cause:
                refused += 1
                output.say(f"{run.run}: {cause}")
                continue
            if as_json:
                output.answer_json(told)
            else:
                output.say(f"run {told.run} is {told.state}, {told.running} tasks still to stop")
    if not as_json:
        output.answer(f"cancellation of {_counted(len(runs) - refused)} was asked for")
    return refused == 0


def _all(browser: LedgerBrowser, wanted: RunFilter, most: int) -> list[RunRow]:
    """All of them, and where there are more than `most`, some more than that."""
    found: list[RunRow] = []
    cursor = None
    while len(found) <= most:
        page = browser.runs(wanted, cursor, _PAGE)
        found += page.rows
        if (cursor := page.next) is None:
            break
    return found


def _counted(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"
