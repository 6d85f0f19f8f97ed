"""Lanes, what did not get through them, and redrives of it, as tables."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from console.render.marks import brief, clock_time, short, shown, span, style, when
from console.render.tables import plain_table
from contracts.states import FINAL, State
from fleet.ledger.rows import (
    DeadGroup,
    DeadRow,
    RedriveItem,
    RedriveJob,
    RedrivePreview,
)

if TYPE_CHECKING:
    from console.queues import LaneBeside
    from fleet.bus.admin import Counts

OPEN_STATES = tuple(state for state in State if state not in FINAL | {State.WAITING})
"""What waits for its parents is on no lane yet."""


def lanes_table(lanes: Iterable["LaneBeside"], now: datetime, *, wide: bool = True) -> Table:
    """The ledger's open tasks by lane, and beside them the messages of the lane's queue."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lane")
    for state in OPEN_STATES:
        table.add_column(state.value, justify="right")
    for column in ("put off", "oldest queued" if wide else "oldest"):
        table.add_column(column, justify="right")
    on_bus = ("bus: active", "scheduled", "dead-lettered") if wide else ("bus", "later", "dead")
    rows = list(lanes)
    deployed = any(lane.replicas is not None for lane in rows)
    for column in (*on_bus, "replicas") if deployed else on_bus:
        table.add_column(column, justify="right")
    for lane in rows:
        counts = lane.bus
        pods = "-" if lane.replicas is None else f"{lane.ready}/{lane.replicas}"
        table.add_row(
            lane.lane if lane.paused is None else f"{lane.lane} (paused)",
            *(Text(str(lane.states.get(state) or "-"), style(state)) for state in OPEN_STATES),
            str(lane.put_off or "-"),
            "-" if lane.oldest_queued is None else span(now - lane.oldest_queued),
            *(("?", "?", "?") if counts is None else _numbers(counts)),
            *([pods] if deployed else []),
        )
    return table


def dead_table(rows: Iterable[DeadRow], *, wide: bool = True) -> Table:
    """What an operator may have to look at, newest first as given."""
    table = plain_table()
    table.add_column("at", no_wrap=True)
    for column in ("what", "where", "state", "reason") if wide else ("where", "state", "reason"):
        table.add_column(column, overflow="fold")
    table.add_column("id", overflow="fold", no_wrap=not wide)
    for row in rows:
        reason = row.reason if not row.description else f"{row.reason}: {row.description}"
        table.add_row(
            when(row.at, wide=wide),
            *([row.what] if wide else []),
            shown(row.where),
            row.state,
            brief(reason),
            short(row.id, wide=wide),
        )
    return table


def group_table(groups: Iterable[DeadGroup], *, plain: bool, wide: bool = True) -> Table:
    """Dead letters by cause. The trend, where it is `wide`, is of the last 24 hours, the latest on
    the right."""
    table = plain_table()
    table.add_column("group", no_wrap=True)
    table.add_column("count", justify="right")
    for column in ("first", "last", "trend") if wide else ("last",):
        table.add_column(column, no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("reason, and the latest one's words", overflow="fold")
    for group in groups:
        reason = f"{group.reason}: {group.sample}" if group.sample else group.reason
        table.add_row(
            group.fingerprint or "(not yet)",
            str(group.count),
            *([clock_time(group.first)] if wide else []),
            when(group.last, wide=wide),
            *([trend(group.trend, plain=plain)] if wide else []),
            brief(", ".join(f"{place} {count}" for place, count in group.where.items())),
            brief(reason),
        )
    return table


def trend(counts: Sequence[int], *, plain: bool) -> str:
    """A bar for each count, the highest as high as there is room for; `.` for none."""
    bars = ".oO@" if plain else "·▁▂▃▄▅▆▇█"
    most = max(counts, default=0)
    return "".join(bars[-(-count * (len(bars) - 1) // most) if most else 0] for count in counts)


def job_table(jobs: Iterable[RedriveJob], *, wide: bool = True) -> Table:
    """Redrives, newest first as given."""
    table = plain_table()
    for column in ("redrive", "asked", "state") if wide else ("redrive", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("by", overflow="fold")
    for column in ("total", "redriven", "refused", "left") if wide else ("left",):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for job in jobs:
        table.add_row(
            short(job.job, wide=wide),
            *([clock_time(job.asked)] if wide else []),
            job.state,
            shown(job.actor),
            *(str(count) for count in ((job.total, job.redriven, job.refused) if wide else ())),
            str(job.left) if wide else f"{job.left} of {job.total}",
            brief(job.reason),
        )
    return table


def item_table(items: Iterable[RedriveItem], *, wide: bool = True) -> Table:
    """What a redrive chose, in its order."""
    table = plain_table()
    for column in ("task", "failed attempt", "state", "attempt now", "note"):
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(
            short(item.task, wide=wide)
            if item.task
            else shown(f"{item.queue}/{item.sequence_number}"),
            "-" if item.attempt is None else str(item.attempt),
            item.state,
            item.became or "-",
            shown(item.note or ""),
        )
    return table


def preview_table(preview: RedrivePreview) -> Table:
    """What a redrive would choose, by cause."""
    table = plain_table()
    table.add_column("group", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("reason, and the latest one's words", overflow="fold")
    for group in preview.groups:
        table.add_row(
            group.fingerprint or "(not yet)",
            str(group.count),
            brief(f"{group.reason}: {group.sample}"),
        )
    return table


def _numbers(counts: "Counts") -> tuple[str, str, str]:
    return str(counts.active), str(counts.scheduled), str(counts.dead_letter)
