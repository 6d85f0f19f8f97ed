"""Lanes, what did not get through them, and redrives of it, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from console.render.marks import clock_time, shown, span, style
from contracts.states import FINAL, State
from fleet.ledger.rows import (
    DeadGroup,
    DeadRow,
    LaneRow,
    RedriveItem,
    RedriveJob,
    RedrivePreview,
)

if TYPE_CHECKING:
    from fleet.bus.admin import Counts

OPEN_STATES = tuple(state for state in State if state not in FINAL | {State.WAITING})
"""What waits for its parents is on no lane yet."""


def lanes_table(
    lanes: Iterable[LaneRow], bus: "Mapping[str, Counts | None] | None", now: datetime
) -> Table:
    """The ledger's open tasks by lane, and beside them the messages of the lane's queue.

    `bus` by lane name; None where the bus was not asked.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("lane")
    for state in OPEN_STATES:
        table.add_column(state.value, justify="right")
    for column in ("put off", "oldest queued"):
        table.add_column(column, justify="right")
    for column in ("bus: active", "scheduled", "dead-lettered"):
        table.add_column(column, justify="right")
    for lane in lanes:
        counts = None if bus is None else bus.get(lane.lane)
        table.add_row(
            lane.lane if lane.paused is None else f"{lane.lane} (paused)",
            *(Text(str(lane.states.get(state) or "-"), style(state)) for state in OPEN_STATES),
            str(lane.put_off or "-"),
            "-" if lane.oldest_queued is None else span(now - lane.oldest_queued),
            *(("?", "?", "?") if counts is None else _numbers(counts)),
        )
    return table


def dead_table(rows: Iterable[DeadRow]) -> Table:
    """What an operator may have to look at, newest first as given."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("at", "what", "where", "state", "reason", "id"):
        table.add_column(column, overflow="fold")
    for row in rows:
        reason = row.reason if not row.description else f"{row.reason}: {row.description}"
        table.add_row(
            clock_time(row.at), row.what, shown(row.where), row.state, shown(reason), shown(row.id)
        )
    return table


def group_table(groups: Iterable[DeadGroup], *, plain: bool) -> Table:
    """Dead letters by cause. The trend is the last 24 hours, the latest on the right."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("group", no_wrap=True)
    table.add_column("count", justify="right")
    for column in ("first", "last", "trend"):
        table.add_column(column, no_wrap=True)
    table.add_column("where", overflow="fold")
    table.add_column("reason, and the latest one's words", overflow="fold")
    for group in groups:
        reason = f"{group.reason}: {group.sample}" if group.sample else group.reason
        table.add_row(
            group.fingerprint or "(not yet)",
            str(group.count),
            clock_time(group.first),
            clock_time(group.last),
            trend(group.trend, plain=plain),
            shown(", ".join(f"{place} {count}" for place, count in group.where.items())),
            shown(reason),
        )
    return table


def trend(counts: Sequence[int], *, plain: bool) -> str:
    """A bar for each count, the highest as high as there is room for; `.` for none."""
    bars = ".oO@" if plain else "·▁▂▃▄▅▆▇█"
    most = max(counts, default=0)
    return "".join(bars[-(-count * (len(bars) - 1) // most) if most else 0] for count in counts)


def job_table(jobs: Iterable[RedriveJob]) -> Table:
    """Redrives, newest first as given."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("redrive", "asked", "by", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("total", "redriven", "refused", "left"):
        table.add_column(column, justify="right")
    table.add_column("reason", overflow="fold")
    for job in jobs:
        table.add_row(
            job.job,
            clock_time(job.asked),
            shown(job.actor),
            job.state,
            *(str(count) for count in (job.total, job.redriven, job.refused, job.left)),
            shown(job.reason),
        )
    return table


def item_table(items: Iterable[RedriveItem]) -> Table:
    """What a redrive chose, in its order."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("task", "attempt that failed", "state", "attempt now", "note"):
        table.add_column(column, overflow="fold")
    for item in items:
        table.add_row(
            item.task or f"{item.queue}/{item.sequence_number}",
            "-" if item.attempt is None else str(item.attempt),
            item.state,
            item.became or "-",
            shown(item.note or ""),
        )
    return table


def preview_table(preview: RedrivePreview) -> Table:
    """What a redrive would choose, by cause."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("group", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("reason, and the latest one's words", overflow="fold")
    for group in preview.groups:
        table.add_row(
            group.fingerprint or "(not yet)",
            str(group.count),
            shown(f"{group.reason}: {group.sample}"),
        )
    return table


def _numbers(counts: "Counts") -> tuple[str, str, str]:
    return str(counts.active), str(counts.scheduled), str(counts.dead_letter)
