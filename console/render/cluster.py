"""Lanes on the cluster, their pods and events, as tables."""

from collections.abc import Iterable
from datetime import datetime

from rich.table import Table
from rich.text import Text

from console.render.marks import clock_time, shown, span
from console.render.tables import plain_table
from fleet.cluster.rows import ClusterLane, EventRow, PodRow


def lanes_table(lanes: Iterable[ClusterLane]) -> Table:
    """One line a lane: what runs, within which limits, and what is wrong."""
    table = plain_table()
    table.add_column("lane", no_wrap=True)
    table.add_column("as", no_wrap=True)
    for column in ("ready", "wanted", "least", "most", "restarts"):
        table.add_column(column, justify="right")
    table.add_column("note", overflow="fold")
    for lane in lanes:
        table.add_row(
            lane.lane,
            "-" if lane.shape is None else lane.shape.value,
            str(lane.ready),
            str(lane.replicas),
            "-" if lane.least is None else str(lane.least),
            "-" if lane.most is None else str(lane.most),
            Text(str(lane.restarts), "yellow" if lane.restarts else ""),
            _note(lane),
        )
    return table


def pods_table(pods: Iterable[PodRow], now: datetime) -> Table:
    """The pods of one lane, with the age of each."""
    table = plain_table()
    for column in ("pod", "phase", "ready", "busy"):
        table.add_column(column, no_wrap=True)
    table.add_column("restarts", justify="right")
    table.add_column("age", justify="right")
    for column in ("node", "why"):
        table.add_column(column, overflow="fold")
    for pod in pods:
        table.add_row(
            pod.name,
            pod.phase,
            _yes(pod.ready),
            "?" if pod.busy is None else _yes(pod.busy),
            str(pod.restarts),
            "-" if pod.started is None else span(now - pod.started),
            pod.node or "-",
            shown(pod.why) + (" (one task's own)" if pod.alone else ""),
        )
    return table


def events_table(events: Iterable[EventRow]) -> Table:
    """What the cluster did for one lane, or could not do; the latest first as given."""
    table = plain_table()
    for column in ("last seen", "what", "about"):
        table.add_column(column, no_wrap=True)
    table.add_column("times", justify="right")
    table.add_column("message", overflow="fold")
    for event in events:
        table.add_row(
            "-" if event.at is None else clock_time(event.at),
            Text(event.reason, "yellow" if event.warning else ""),
            shown(event.about),
            str(event.count),
            shown(event.message),
        )
    return table


def _note(lane: ClusterLane) -> Text:
    if lane.shape is None:
        return Text("not deployed", "dim")
    if lane.paused:
        by = f" by {shown(lane.paused_by)}" if lane.paused_by else ""
        why = f": {shown(lane.paused_why)}" if lane.paused_why else ""
        return Text(f"paused{by}{why}", "yellow")
    return Text(shown(lane.scaler_fault), "red") if lane.scaler_fault else Text("")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
