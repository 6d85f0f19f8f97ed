"""The status page and the metrics behind it: entities, connections, uptime, memory.

`/` is a page for a person, without scripts and without anything from elsewhere; `/metrics.json` is
the same for a program. Both only read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any

from localbus.admin.control import json_response
from localbus.admin.http import HttpResponse
from localbus.broker.message import State
from localbus.broker.queue import Queue
from localbus.broker.topic import Topic
from localbus.bus import Bus

_STATM = Path("/proc/self/statm")
_COUNTS = (
    *("active", "locked", "deferred", "scheduled"),
    *("dead_letter", "transfer_dead_letter", "size_bytes", "receivers"),
)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin-bottom:2rem}"
    "th,td{padding:.3rem .6rem;text-align:right;"
    "border-bottom:1px solid #8884}th:first-child,td:first-child{text-align:left}"
    ":root{color-scheme:light dark}"
)


class StatusPages:
    """See the module. `connections` counts the AMQP connections there are."""

    PATHS = ("", "/", "/metrics.json")

    def __init__(self, bus: Bus, connections: Callable[[], int]) -> None:
        self._bus = bus
        self._connections = connections
        self._began_s = bus.loop.time()

    def answer(self, path: str) -> HttpResponse:
        """The page or the metrics, as they are now."""
        metrics = self.metrics()
        if path == "/metrics.json":
            return json_response(200, metrics)
        return HttpResponse(200, _page(metrics).encode(), "text/html; charset=utf-8")

    def metrics(self) -> dict[str, Any]:
        """Everything as JSON has it. `active` counts the locked too, as the service does."""
        namespace = self._bus.namespace
        return {
            "pid": os.getpid(),
            "uptime_s": round(self._bus.loop.time() - self._began_s, 3),
            "resident_bytes": _resident_bytes(),
            "connections": self._connections(),
            "queues": [_of_queue(queue.name, queue) for queue in namespace.queues()],
            "topics": [_of_topic(topic) for topic in namespace.topics()],
        }


def _of_queue(name: str, queue: Queue) -> dict[str, Any]:
    """A queue, or a subscription under its short name."""
    return {
        "name": name,
        "status": queue.properties.status,
        "active": queue.main.counts[State.ACTIVE],
        "locked": len(queue.main.locks),
        "deferred": queue.main.counts[State.DEFERRED],
        "scheduled": queue.main.counts[State.SCHEDULED],
        "dead_letter": sum(queue.dead.counts.values()),
        "transfer_dead_letter": sum(queue.transfer_dead.counts.values()),
        "size_bytes": sum(mailbox.size_bytes for mailbox in queue.mailboxes),
        "receivers": sum(len(mailbox.consumers) for mailbox in queue.mailboxes),
    }


def _of_topic(topic: Topic) -> dict[str, Any]:
    """A topic, which keeps only what is scheduled, with its subscriptions."""
    subscriptions = [topic.subscriptions[key] for key in sorted(topic.subscriptions)]
    return {
        "name": topic.name,
        "status": topic.properties.status,
        "scheduled": topic.main.counts[State.SCHEDULED],
        "size_bytes": topic.main.size_bytes,
        "subscriptions": [_of_queue(each.short_name, each) for each in subscriptions],
    }


def _resident_bytes() -> int | None:
    """What the process holds in memory, where the system tells it."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _page(metrics: dict[str, Any]) -> str:
    topics = [row for topic in metrics["topics"] for row in _rows_of_topic(topic)]
    tables = _table("queue", map(_row, metrics["queues"])) + _table("topic", topics)
    resident = metrics["resident_bytes"]
    memory = "" if resident is None else f", {resident / (1 << 20):.0f} MiB of memory"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>localbus</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        f"<style>{_STYLE}</style><h1>localbus</h1>"
        f"<p>{metrics['connections']} connections, up {metrics['uptime_s']:.0f} s{memory}. "
        'The same as <a href="metrics.json">JSON</a>.</p>'
        f"{tables}</html>"
    )


def _table(kind: str, rows: Iterable[str]) -> str:
    heads = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in _COUNTS)
    return (
        f"<table><thead><tr><th>{kind}</th><th>status</th>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _row(entity: dict[str, Any], below: str = "") -> str:
    """One line; what an entity does not count stays empty."""
    cells = "".join(f"<td>{entity.get(name, '')}</td>" for name in _COUNTS)
    name, status = escape(below + entity["name"]), escape(entity["status"])
    return f"<tr><td>{name}</td><td>{status}</td>{cells}</tr>"


def _rows_of_topic(topic: dict[str, Any]) -> list[str]:
    below = [_row(each, f"{topic['name']}/") for each in topic["subscriptions"]]
    return [_row(topic), *below]
