"""Lanes and what did not get through them, as tables."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from console.render.marks import clock_time, shown, span, style
from contracts.states import FINAL, State
from fleet.ledger.rows import DeadRow, LaneRow

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
    table.add_column("oldest queued", justify="right")
    for column in ("bus: active", "scheduled", "dead-lettered"):
        table.add_column(column, justify="right")
    for lane in lanes:
        counts = None if bus is None else bus.get(lane.lane)
        table.add_row(
            lane.lane,
            *(Text(str(lane.states.get(state) or "-"), style(state)) for state in OPEN_STATES),
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


def _numbers(counts: "Counts") -> tuple[str, str, str]:
    return str(counts.active), str(counts.scheduled), str(counts.dead_letter)
