"""Dispatcher and workers: whether they answer, and whether the clocks agree."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from console.doctor.finding import Finding, fault, ok, warning
from console.site import Site
from contracts.states import State
from fleet.ledger.reader import LedgerReader

_APART, _FAR_APART = timedelta(seconds=5), timedelta(seconds=60)
"""Between two clocks: worth a word, and enough to end leases early."""
_SILENT = timedelta(seconds=60)


def look_at_dispatcher(site: Site, now: datetime) -> Iterator[Finding]:
    """Whether requests are taken; its answer's Date header is compared with `now`."""
    part = "dispatcher"
    if not site.found:
        yield warning(
            part,
            "no dispatcher is known here",
            "start one with `fleet up`, or set FLEET_HTTP_HOST and FLEET_HTTP_PORT",
        )
        return
    address = f"http://{site.settings.http_host}:{site.settings.http_port}"
    try:
        answer = httpx.get(f"{address}/readyz", timeout=10.0, trust_env=False)
    except httpx.HTTPError as cause:
        yield fault(
            part,
            f"it does not answer ({type(cause).__name__})",
            "is it running? its log is under the home's logs/dispatcher.log",
        )
        return
    if answer.status_code == httpx.codes.OK:
        yield ok(part, "it takes requests")
    else:
        yield fault(part, f"it is not ready: {answer.text[:300]}", "see its log for what it lacks")
    if told := answer.headers.get("date"):
        yield clocks("the dispatcher's", parsedate_to_datetime(told), now)


def look_at_workers(reader: LedgerReader, now: datetime) -> Iterator[Finding]:
    """Who works, what waits for nobody, and whether the workers' clocks run ahead."""
    live = [row for row in reader.workers() if row.state == "live"]
    silent = [row.worker for row in live if now - row.last_seen > _SILENT]
    working = [row for row in live if row.worker not in silent]
    if silent:
        yield warning(
            "workers",
            f"{len(silent)} have not been heard of for a minute: {', '.join(silent[:5])}",
            "they are dead or cut off; their tasks go to others when their leases end",
        )
    served = {lane for row in working for lane in row.lanes}
    waiting = [
        f"{row.lane} {row.states[State.QUEUED]}"
        for row in reader.lanes()
        if row.states.get(State.QUEUED) and row.lane not in served
    ]
    if waiting:
        yield fault(
            "workers",
            f"tasks are queued on lanes that no worker serves: {', '.join(waiting)}",
            "start a worker for these lanes: `fleet up`, or `python -m workers`",
        )
    elif working:
        yield ok("workers", f"{len(working)} at work")
    else:
        yield ok("workers", "none is running, and nothing waits for one")
    if live:
        yield clocks("the latest worker's", max(row.last_seen for row in live), now, ahead=True)


def clocks(whose: str, theirs: datetime, now: datetime, *, ahead: bool = False) -> Finding:
    """Two clocks compared. With `ahead`, `theirs` is a moment of the past, of any age: only that
    it lies in the future says anything."""
    apart = theirs - now if ahead else abs(theirs - now)
    says = f"{whose} clock differs from this machine's by {apart.total_seconds():.0f} s"
    remedy = "have both set by NTP (timedatectl set-ntp true): leases and deadlines rest on it"
    if apart > _FAR_APART:
        return fault("clock", says, remedy)
    if apart > _APART:
        return warning("clock", says, remedy)
    return ok("clock", f"it agrees with {whose}")
