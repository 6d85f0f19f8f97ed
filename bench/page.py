"""docs/benchmarks.md and its pictures, from docs/benchmarks.json: `python -m bench.page`.

Prose that no figure makes is kept in bench/notes.md and put in as it is.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.fleet.recording import RECORDING
from bench.peers.contestants import CONTESTANTS, Contestant
from bench.plots import Bar, chart
from bench.targets import STAGES, targets, verdict

_DOCS = results.FILE.parent
_PICTURES = _DOCS / "pictures"
_NOTES = Path(__file__).parent / "notes.md"
_HEAD = """# Leaf Fleet beside its peers

Made by `make bench` from [benchmarks.json](benchmarks.json), which has every round. Tasks do
nothing and carry 200 bytes, so what is measured is the cost of a task with everything that its
system records. All of it runs on one machine over loopback: sender, workers, broker and store
share the cores.
"""
_REPEAT = """## Repeat it

```sh
make bench BENCH=--install              # as root the first time: fetches the servers
make bench BENCH="--rounds 3 --only fleet,saq"
make bench-data                         # 10 million claim lines; makes 130 MB of input once
```

RabbitMQ, Redis and PostgreSQL are Debian's packages (`rabbitmq-server`, `redis-server`,
`postgresql`), started by the script on free loopback ports with data folders of their own and
stopped by process id; Azurite comes from npm, the peers from PyPI, pinned by hash. Each round
starts a peer's servers anew. Figures are medians of the rounds.

- **burn-down**: a backlog is queued while no worker runs; tasks a second from the first handler's
  start to the last record. The second figure is for 2 worker processes.
- **enqueue**: tasks a second by one sender, as the peer documents it; in batches where it has
  them.
- **chain**: stages a second of many chains of 7 stages, each stage started by the end of the one
  before it; 1 worker process.
- **sent to recorded**: from the call that enqueues to the moment when the result is stored (for a
  peer without a store: when the broker knows that the message is done). **started to recorded**
  begins with the handler; Leaf Fleet's begins when the delivery arrives.
- **CPU** counts user and system time of all processes of a part, children included, from the
  first start to the last record. **Memory** is the proportional set size at that end; Leaf
  Fleet's the peak.
- **round trips**: of PostgreSQL statements, of Redis reads of a socket, of Leaf Fleet's ledger
  statements and commits.
"""


def page(found: results.Results) -> str:
    """The Markdown."""
    medians = {
        contestant.name: results.median(found["peers"][contestant.name]["rounds"])
        for contestant in CONTESTANTS
        if contestant.name in found["peers"]
    }
    data = {source: results.median(one["rounds"]) for source, one in found["data"].items()}
    lines = found["data"].get("parquet", {}).get("lines", 0)
    parts = [_HEAD, _targets(medians, data, lines)]
    if medians:
        parts += [_speed(medians), _latency(medians), _cost(medians), _what(found["peers"])]
    if data:
        parts.append(_data(found["data"], data))
    if _NOTES.exists():
        parts.append(_NOTES.read_text(encoding="utf-8").strip() + "\n")
    parts += [_REPEAT, _circumstances(found)]
    return "\n".join(parts)


def pictures(found: results.Results) -> dict[str, str]:
    """SVG by file name."""
    medians = {name: results.median(one["rounds"]) for name, one in found["peers"].items()}
    known = [contestant for contestant in CONTESTANTS if contestant.name in medians]
    if not known:
        return {}

    def bars(figure: Any, second: Any = lambda _: None, *, falling: bool = True) -> list[Bar]:
        made = [
            Bar(c.title, figure(medians[c.name]), second(medians[c.name]), c.name == "fleet")
            for c in known
        ]
        return sorted(made, key=lambda bar: bar.value, reverse=falling)

    return {
        "bench-burn-down.svg": chart(
            "Burn-down",
            "tasks a second: 1 worker process, and 2 behind it",
            bars(lambda m: m["burn_down"], lambda m: m["burn_down_2"]),
        ),
        "bench-chains.svg": chart(
            "Chains of 7", "stages a second, 1 worker process", bars(lambda m: m["chain_stages"])
        ),
        "bench-latency.svg": chart(
            "Latency at 50 tasks a second",
            "ms from sent to recorded: p50, and p99 behind it",
            bars(
                lambda m: m["latency_50"]["sent_to_recorded"]["p50"],
                lambda m: m["latency_50"]["sent_to_recorded"]["p99"],
                falling=False,
            ),
        ),
    }


def _targets(medians: Mapping[str, Any], data: Mapping[str, Any], lines: int) -> str:
    rows = [
        (target.what, target.wanted, target.figure, verdict(target))
        for target in targets(medians, data.get("parquet", {}), lines)
    ]
    return "## Against what was aimed for\n\n" + table(("aim", "wanted", "figure", ""), rows)


def _speed(medians: Mapping[str, Any]) -> str:
    ours = medians.get("fleet")
    rows = [
        (
            _title(name),
            f"{of['burn_down']:,.0f}",
            f"{of['burn_down_2']:,.0f}",
            f"{ours['burn_down'] / of['burn_down']:.2f}" if ours else "",
            f"{of['enqueue']:,.0f}",
            f"{of['chain_stages']:,.0f}",
            f"{ours['chain_stages'] / of['chain_stages']:.2f}" if ours else "",
        )
        for name, of in sorted(medians.items(), key=lambda item: -item[1]["burn_down"])
    ]
    head = (
        "",
        "burn-down/s",
        "2 processes",
        "ours : it",
        "enqueue/s",
        "chain stages/s",
        "ours : it",
    )
    return (
        "## Throughput\n\n![](pictures/bench-burn-down.svg)\n\n![](pictures/bench-chains.svg)\n\n"
        + table(head, rows)
    )


def _latency(medians: Mapping[str, Any]) -> str:
    def three(of: Mapping[str, float]) -> str:
        return f"{of['p50']:.1f} / {of['p95']:.1f} / {of['p99']:.1f}"

    rows = [
        (
            _title(name),
            three(of["latency_50"]["sent_to_recorded"]),
            three(of["latency_50"]["started_to_recorded"]),
            f"{of['burn_down'] / 2:,.0f}",
            three(of["latency_half"]["sent_to_recorded"]),
        )
        for name, of in medians.items()
    ]
    head = ("", "50/s: sent to recorded", "started to recorded", "half of its burn-down, tasks/s",
            "half: sent to recorded")  # fmt: skip
    said = "## Latency\n\n![](pictures/bench-latency.svg)\n\nMilliseconds, p50 / p95 / p99.\n\n"
    return said + table(head, rows)


def _cost(medians: Mapping[str, Any]) -> str:
    def part(of: Mapping[str, float], name: str, form: str) -> str:
        return format(of[name], form) if name in of else "-"

    rows = [
        (
            _title(name),
            *(part(of["cpu_ms"], at, ".3f") for at in ("worker", "broker", "store")),
            f"{sum(of['cpu_ms'].values()):.3f}",
            *(part(of["memory_mib"], at, ".0f") for at in ("worker", "broker", "store")),
            part(of["per_task"], "statements", ".2f"),
            part(of["per_task"], "round_trips", ".2f"),
        )
        for name, of in medians.items()
    ]
    head = ("", "worker", "broker", "store", "CPU ms a task", "worker MiB", "broker MiB",
            "store MiB", "SQL statements a task", "round trips a task")  # fmt: skip
    said = (
        "A store of Redis that is the broker too counts once; Leaf Fleet's is the process that"
        " writes its ledger. One worker process.\n\n"
    )
    return f"## What a task costs\n\n{said}" + table(head, rows) + _where(medians["fleet"])


def _where(ours: Mapping[str, Any]) -> str:
    parts = ours.get("worker_parts", {})
    spent = 1000 * ours["cpu_ms"]["worker"]
    rows = [
        (part, f"{100 * share:.0f} %", f"{share * spent:.0f}", "yes" if part in RECORDING else "")
        for part, share in sorted(parts.items(), key=lambda each: -each[1])
    ]
    said = (
        "\nWhere Leaf Fleet's worker spends it, by samples of its event loop; all of its store's"
        " is recording, too.\n\n"
    )
    return said + table(("part", "share", "us a task", "recording"), rows) if rows else ""


def _what(peers: Mapping[str, Any]) -> str:
    rows = [
        (
            contestant.title,
            peers[contestant.name]["version"],
            f"{peers[contestant.name]['tasks']:,}",
            contestant.records,
            contestant.durable,
            contestant.settings,
        )
        for contestant in CONTESTANTS
        if contestant.name in peers
    ]
    head = ("", "version", "tasks", "records of a task", "how durable", "settings")
    return "## What each records, and how durably\n\n" + table(head, rows)


def _data(kept: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    said = []
    for source, of in data.items():
        what = kept[source]
        rows = []
        for stage in STAGES:
            ours = of["fleet"][stage]
            row = [stage, f"{what['lines'] / ours['seconds']:,.0f}", f"{ours['seconds']:.1f}",
                   f"{ours['cpu_seconds']:.1f}", f"{ours['peak_mib']:.0f}"]  # fmt: skip
            for who in ("duckdb", "duckdb_defaults"):
                if who in of:
                    alone = of[who][stage]["seconds"]
                    row += [f"{alone:.1f}", f"{ours['seconds'] / alone:.2f}"]
                    row.append(f"{ours['cpu_seconds'] / of[who][stage]['cpu_seconds']:.2f}")
                else:
                    row += ["-", "-", "-"]
            rows.append(row)
        head = ("stage", "rows/s", "s", "CPU s", "peak MiB", "plain DuckDB, s", "ratio",
                "of CPU", "with its defaults, s", "ratio", "of CPU")  # fmt: skip
        said.append(
            f"{what['lines']:,} lines from {source}, {what['threads']} thread(s) and "
            f"{what['memory_mb']:,} MB for each task's DuckDB on both sides; tasks one after the "
            f"other.\n\n" + table(head, rows)
        )
    return "## Claim lines through the data stages\n\n" + "\n".join(said)


def _circumstances(found: results.Results) -> str:
    rows = [
        (name, one["measured"], one["machine"], str(len(one["rounds"])), str(one["load_before"]))
        for name, one in sorted([*found["peers"].items(), *found["data"].items()])
    ]
    head = ("", "measured", "machine", "rounds", "load before")
    return "## When and where\n\n" + table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; all columns but the first lean right when they hold figures."""
    lines = [" | ".join(head), "|".join("---" for _ in head)]
    lines += [" | ".join(row) for row in rows]
    return "".join(f"| {line} |\n" if "---" not in line else f"|{line}|\n" for line in lines)


def _title(name: str) -> str:
    found: Contestant = next(one for one in CONTESTANTS if one.name == name)
    return f"**{found.title}**" if name == "fleet" else found.title


def made(found: results.Results) -> None:
    """Write page and pictures."""
    (_DOCS / "benchmarks.md").write_text(page(found), encoding="utf-8")
    for name, svg in pictures(found).items():
        (_PICTURES / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    made(results.read())
    sys.exit(0)
