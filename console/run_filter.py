"""Which runs are meant by the options of `fleet runs` and `fleet cancel`."""

from console.parameters import maybe_time
from contracts.states import State
from fleet.clock import SystemClock
from fleet.ledger.browse import RunFilter


def run_filter(
    *,
    pipeline: str | None,
    tenant: str | None,
    text: str,
    since: str | None,
    until: str | None,
    state: str | None = None,
) -> RunFilter:
    """Raises Refused for a time that is none."""
    now = SystemClock().now()
    return RunFilter(
        pipeline=pipeline,
        tenant=tenant,
        state=None if state is None else State(state),
        since=maybe_time(since, now),
        until=maybe_time(until, now),
        text=text,
    )
