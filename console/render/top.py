"""The picture of `fleet top`: what needs people, lanes, workers, running runs."""

from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.render.marks import clock_time, shown, span, style
from console.render.queues import trend
from console.render.run import runs_table
from console.top import LaneLook, Look
from contracts.states import State

_SHOWN = (State.QUEUED, State.RUNNING, State.RETRYING, State.HELD, State.PARKED)
_NARROW = (State.QUEUED, State.RUNNING, State.HELD)
_NUMBERS = ("dead", "oldest", "workers", "a minute", "well")
_HALF_HOUR = 30
_MOST_WORKERS = 10


def picture(look: Look, *, plain: bool = False, wide: bool = True) -> Group:
    """The whole screen. What says least is left out where the terminal is not `wide`."""
    parts: list[RenderableType] = [_head(look), Text(), _lanes(look, plain=plain, wide=wide)]
    if look.workers:
        parts += [Text(), _workers(look)]
    if look.runs:
        parts += [Text(), runs_table(look.runs, look.at, plain=plain, wide=wide)]
    return Group(*parts)


def _head(look: Look) -> Text:
    """One line: the time, what runs, and what waits for people in colour."""
    needs = look.attention
    head = Text.assemble(
        (clock_time(look.at), "bold"),
        f"  {needs.runs_running} runs running, {needs.workers_live} workers",
    )
    for count, words, look_of in (
        (needs.held, "wait for approval (fleet approvals)", "yellow"),
        (needs.dead, "tasks ended badly (fleet dead-letters)", "bold red"),
        (needs.parked, "parked", "yellow"),
        (needs.workers_gone, "workers gone in the last hour", "yellow"),
    ):
        if count:
            head.append(f"  {count} {words}", style=look_of)
    for trouble in filter(None, (look.bus_trouble, look.cluster_trouble)):
        head.append(f"  {shown(trouble)}", style="bold red")
    return head


def _lanes(look: Look, *, plain: bool, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lane", no_wrap=True)
    for state in _SHOWN if wide else _NARROW:
        table.add_column(state.value, justify="right", no_wrap=True)
    for column in (("on the bus",) if wide else ()) + _NUMBERS:
        table.add_column(column, justify="right", no_wrap=True)
    deployed = any(lane.replicas is not None for lane in look.lanes)
    if deployed:
        table.add_column("replicas", justify="right", no_wrap=True)
    if wide:
        table.add_column("last half hour", no_wrap=True)
    for lane in look.lanes:
        row = _row(lane, look.at, wide=wide)
        if deployed:
            row.append("-" if lane.replicas is None else f"{lane.ready}/{lane.replicas}")
        if wide:
            row.append(trend(lane.ended[-_HALF_HOUR:], plain=plain))
        table.add_row(*row)
    return table


def _row(lane: LaneLook, now: datetime, *, wide: bool) -> list[Text | str]:
    unserved = bool(lane.states.get(State.QUEUED)) and not lane.workers
    return [
        lane.lane,
        *(
            Text(str(lane.states.get(state) or "-"), style(state))
            for state in (_SHOWN if wide else _NARROW)
        ),
        *([_known(lane.depth)] if wide else []),
        Text(_known(lane.dead_letters), "bold red" if lane.dead_letters else ""),
        "-" if lane.oldest_queued is None else span(now - lane.oldest_queued),
        Text(str(lane.workers), "bold red" if unserved else ""),
        f"{lane.per_minute:.1f}",
        "-" if lane.success is None else f"{lane.success:.0%}",
    ]


def _known(count: int | None) -> str:
    return "?" if count is None else str(count)


def _workers(look: Look) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("worker", no_wrap=True)
    for column in ("running", "heard of"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("lanes", overflow="ellipsis", no_wrap=True)
    for worker in look.workers[:_MOST_WORKERS]:
        table.add_row(
            shown(worker.worker),
            str(worker.running),
            f"{span(look.at - worker.last_seen)} ago",
            ", ".join(worker.lanes),
        )
    if (more := len(look.workers) - _MOST_WORKERS) > 0:
        table.add_row(f"and {more} more", "", "", "")
    return table
