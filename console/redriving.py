"""Asking for redrives and waiting for them: what `fleet redrive` and `fleet retry` do."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from console.errors import Refused, RunFailed
from contracts.fact import JsonObject
from fleet.ledger.rows import RedriveJob

if TYPE_CHECKING:
    from fleet.ledger.reader import LedgerReader

_LOOK = 0.5
"""Seconds between looks at a redrive."""


class StillRedriving(RunFailed):
    """A redrive has not ended in time. It goes on."""

    def __init__(self, job: str, timeout: float) -> None:
        super().__init__(
            f"redrive {job} has not ended after {timeout:g} s and goes on; "
            f"see `fleet redrives {job}`"
        )


def selection(tasks: Sequence[str], group: str | None, *, everything: bool) -> dict[str, Any]:
    """What is meant, as it is sent. Raises Refused unless it is exactly one of the three."""
    given: dict[str, Any] = {}
    if tasks:
        given["tasks"] = list(tasks)
    if group is not None:
        given["group"] = group
    if everything:
        given["everything"] = True
    if len(given) != 1:
        raise Refused("say what to redrive: tasks, or --group GROUP, or --all")
    return given


def new_job() -> str:
    """An id for a redrive, named here so that asking again starts no second one."""
    return str(uuid.uuid4())


def changes(words: Sequence[str]) -> JsonObject:
    """`path=value` as values by path. A value is JSON where it reads as such, else text."""
    told: JsonObject = {}
    for word in words:
        path, sign, value = word.partition("=")
        if not sign or not path:
            raise Refused(f"--set takes PATH=VALUE, not {word!r}")
        try:
            told[path] = json.loads(value)
        except ValueError:
            told[path] = value
    return told


def as_message(what: str) -> tuple[str, int] | None:
    """The queue and number of a message named `queue/number`; None for what names a task."""
    queue, sign, number = what.rpartition("/")
    if not sign:
        return None
    if not queue or not (number.isascii() and number.isdigit()):
        raise Refused(f"{what!r} names no message: QUEUE/NUMBER, as `fleet dead-letters` shows it")
    return queue, int(number)


def progress_line(job: RedriveJob) -> str:
    """`redrive 0192f0c1: 300 of 10000 redriven, 2 refused, running`."""
    refused = f", {job.refused} refused" if job.refused else ""
    return f"redrive {job.job}: {job.redriven} of {job.total} redriven{refused}, {job.state}"


def wait_for_redrive(
    reader: "LedgerReader", job: str, *, seen: Callable[[RedriveJob], None], timeout: float | None
) -> RedriveJob:
    """The redrive once it has ended; `seen` is told of it at every look. Raises StillRedriving."""
    until = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        standing = reader.redrive(job)
        seen(standing)
        if standing.state != "running":
            return standing
        if time.monotonic() >= until:
            raise StillRedriving(job, timeout or 0)
        time.sleep(_LOOK)
