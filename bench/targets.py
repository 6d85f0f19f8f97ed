"""What was aimed for, and whether the figures reach it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Medians = Mapping[str, Mapping[str, Any]]
"""Figures by peer."""

STAGES = ("mirror", "normalize", "validate", "compute")
CEILING = "raw-sdk"
"""Runs no task and keeps nothing: no peer."""


@dataclass(frozen=True, slots=True)
class Target:
    """`figure` and `wanted` in words; `met` is None where it was not measured."""

    what: str
    wanted: str
    figure: str
    met: bool | None


def targets(peers: Medians, data: Mapping[str, Any], lines: int = 0) -> Iterator[Target]:
    """All of them, in the order in which they were set. `lines` of claims were measured."""
    if "fleet" in peers:
        yield from _burn_down(peers)
        yield from _chains(peers)
        yield from _latency(peers)
        yield from _own(peers["fleet"])
    yield from _data(data, lines)


def _burn_down(peers: Medians) -> Iterator[Target]:
    ours = peers["fleet"]["burn_down"]

    def ratio(peer: str, what: str, least: float) -> Target:
        if peer not in peers:
            return Target(what, f"at least {least:g}x", "not measured", None)
        found = ours / peers[peer]["burn_down"]
        return Target(what, f"at least {least:g}x", f"{found:.2f}x", found >= least)

    yield ratio("celery-rabbitmq", "burn-down against Celery with RabbitMQ and results", 2)
    yield ratio("boilermaker-store", "burn-down against boilermaker with its store", 10)
    yield ratio("boilermaker", "burn-down against boilermaker without a store", 1)
    if others := _others(peers):
        fastest = max(others, key=lambda name: float(peers[name]["burn_down"]))
        yield ratio(fastest, f"burn-down against the fastest peer, {fastest}", 1)
    yield ratio(CEILING, "burn-down against the SDK's receive and complete alone", 0.4)
    scaled = peers["fleet"]["burn_down_2"] / ours
    yield Target("2 worker processes against 1", "at least 1.7x", f"{scaled:.2f}x", scaled >= 1.7)


def _chains(peers: Medians) -> Iterator[Target]:
    if others := _others(peers):
        best = max(others, key=lambda name: float(peers[name]["chain_stages"]))
        found = peers["fleet"]["chain_stages"] / peers[best]["chain_stages"]
        what = f"chains of 7 against the fastest peer, {best}"
        yield Target(what, "above 1x", f"{found:.2f}x", found > 1)


def _latency(peers: Medians) -> Iterator[Target]:
    def p99(name: str) -> float:
        return float(peers[name]["latency_50"]["sent_to_recorded"]["p99"])

    stored = [name for name in _others(peers) if name != "boilermaker"]
    if stored:
        best = min(stored, key=p99)
        yield Target(
            f"p99 sent to recorded at 50 tasks/s, against the best peer with results, {best}",
            f"under {p99(best):.1f} ms",
            f"{p99('fleet'):.1f} ms",
            p99("fleet") < p99(best),
        )


def _own(ours: Mapping[str, Any]) -> Iterator[Target]:
    yield _at_most("database round trips a task at load", ours["per_task"]["round_trips"], 0.2, "")
    share = ours.get("recording_share")
    what = "recording's share of a task's CPU"
    yield _at_most(what, None if share is None else 100 * share, 40, " %")
    idle = ours.get("idle")
    yield _at_most("HTTP submit to handler start, idle, p50", idle and idle["p50"], 20, " ms")
    yield _at_most("HTTP submit to handler start, idle, p99", idle and idle["p99"], 60, " ms")


def _data(data: Mapping[str, Any], lines: int) -> Iterator[Target]:
    lines = lines or 10_000_000
    for stage in STAGES:
        found = data["fleet"][stage]["seconds"] / data["duckdb"][stage]["seconds"] if data else None
        yield _at_most(f"{stage} against plain DuckDB, {lines:,} lines", found, 1.3, "x")
    peak = max(data["fleet"][stage]["peak_mib"] for stage in STAGES) if data else None
    yield _at_most(f"peak memory of a stage, {lines:,} lines", peak, 2048, " MiB")


def _at_most(what: str, found: float | None, most: float, unit: str) -> Target:
    wanted = f"at most {most:g}{unit}"
    if found is None:
        return Target(what, wanted, "not measured", None)
    return Target(
        what, wanted, f"{found:.2f}{unit}" if most < 10 else f"{found:.0f}{unit}", found <= most
    )


def _others(peers: Medians) -> list[str]:
    return [name for name in peers if name not in {"fleet", CEILING}]


def verdict(target: Target) -> str:
    """One word or two."""
    return {True: "met", False: "not met", None: "not measured"}[target.met]
