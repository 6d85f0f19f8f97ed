"""The status page and the metrics behind it: queues, connections, uptime, memory.

`/` is a page for a person, without scripts and without anything from elsewhere; `/metrics.json` is
the same for a program. Both only read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from localbus.admin.control import json_response
from localbus.admin.http import HttpResponse
from localbus.broker.message import State
from localbus.bus import Bus

_STATM = Path("/proc/self/statm")
_COUNTS = ("active", "locked", "deferred", "scheduled", "dead_letter")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;text-align:right;"
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
        queues = [
            {
                "name": queue.name,
                "status": queue.properties.status,
                "active": queue.main.counts[State.ACTIVE],
                "locked": len(queue.main.locks),
                "deferred": queue.main.counts[State.DEFERRED],
                "scheduled": queue.main.counts[State.SCHEDULED],
                "dead_letter": sum(queue.dead.counts.values()),
                "size_bytes": queue.main.size_bytes + queue.dead.size_bytes,
                "receivers": len(queue.main.consumers) + len(queue.dead.consumers),
            }
            for queue in self._bus.namespace.queues()
        ]
        return {
            "pid": os.getpid(),
            "uptime_s": round(self._bus.loop.time() - self._began_s, 3),
            "resident_bytes": _resident_bytes(),
            "connections": self._connections(),
            "queues": queues,
        }


def _resident_bytes() -> int | None:
    """What the process holds in memory, where the system tells it."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _page(metrics: dict[str, Any]) -> str:
    heads = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in _COUNTS)
    rows = "".join(
        f"<tr><td>{escape(queue['name'])}</td><td>{escape(queue['status'])}</td>"
        + "".join(f"<td>{queue[name]}</td>" for name in _COUNTS)
        + f"<td>{queue['size_bytes']}</td><td>{queue['receivers']}</td></tr>"
        for queue in metrics["queues"]
    )
    resident = metrics["resident_bytes"]
    memory = "" if resident is None else f", {resident / (1 << 20):.0f} MiB of memory"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>localbus</title>'
        '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">'
        f"<style>{_STYLE}</style><h1>localbus</h1>"
        f"<p>{metrics['connections']} connections, up {metrics['uptime_s']:.0f} s{memory}. "
        'The same as <a href="metrics.json">JSON</a>.</p>'
        f"<table><thead><tr><th>queue</th><th>status</th>{heads}<th>bytes</th>"
        f"<th>receivers</th></tr></thead><tbody>{rows}</tbody></table></html>"
    )
