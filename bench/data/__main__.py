"""Claim lines through mirror, normalize, validate and compute, beside plain DuckDB.

`python -m bench.data --lines 10000000` prints a table: rows a second and the worst peak of memory
of each stage, and how long it takes against DuckDB alone with the same SQL, files, threads and
memory, which are those that stages have by default. `--json` gives the figures. Input is made
once and kept in --folder.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import page, results
from bench.data.apart import Call, Cost, Limits, apart, here
from bench.data.claims import FORMATS, made
from bench.data.plain import by_duckdb_alone
from bench.data.stages import through_the_fleet

_TERMS = "accepted.parquet"
STAGES = {
    "mirror": ("months", "claims"),
    "normalize": ("typed",),
    "validate": ("checked",),
    "compute": ("guarantees",),
}


def one_round(given: argparse.Namespace, folder: Path, call: Call) -> dict[str, Any]:
    """Costs by who and stage: `fleet`, `duckdb`, and `duckdb_defaults` where asked for."""
    sources = made(folder, given.lines, given.source)
    limits = Limits(given.threads, given.memory_mb)
    work = Path(tempfile.mkdtemp(prefix="round-", dir=folder))
    try:
        passed = through_the_fleet(work / "fleet", sources, limits, call)
        costs = {"fleet": passed.costs}
        if given.source != "sqlite":  # DuckDB needs an extension for it, which it would fetch
            claims = Path(sources["claims"]) / f"claim_lines.{given.source}"
            terms = next(i.path for i in passed.made["terms"] if i.pointer.name == _TERMS)
            costs["duckdb"] = by_duckdb_alone(work / "plain", claims, terms, limits, call)
            if given.defaults:
                costs["duckdb_defaults"] = by_duckdb_alone(work / "open", claims, terms, None, call)
    finally:
        shutil.rmtree(work)
    return {
        who: {stage: _sum(of, names) for stage, names in STAGES.items()}
        for who, of in costs.items()
    }


def _sum(costs: dict[str, Cost], stages: tuple[str, ...]) -> dict[str, float]:
    total = Cost()
    for stage in stages:
        total.add(costs[stage])
    return asdict(total)


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Every round's figures, with what was measured and where."""
    with tempfile.TemporaryDirectory(prefix="bench-data-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made(folder, given.lines, given.source)
        where = results.circumstances()
        call: Call = here if given.quick else apart
        rounds = [one_round(given, folder, call) for _ in range(given.rounds)]
    return where | {
        "lines": given.lines,
        "source": given.source,
        "threads": given.threads,
        "memory_mb": given.memory_mb,
        "rounds": rounds,
    }


def table(figures: dict[str, Any]) -> str:
    """The medians, as Markdown."""
    rows = [
        "| stage | rows/s | seconds | CPU s | peak MiB | plain DuckDB | ratio | ratio of CPU |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    of = results.median(figures["rounds"])
    for stage in STAGES:
        ours = of["fleet"][stage]
        row = f"| {stage} | {figures['lines'] / ours['seconds']:,.0f} | {ours['seconds']:.1f} |"
        row += f" {ours['cpu_seconds']:.1f} | {ours['peak_mib']:.0f} |"
        if "duckdb" in of:
            alone = of["duckdb"][stage]
            row += f" {alone['seconds']:.1f} s | {ours['seconds'] / alone['seconds']:.2f} |"
            row += f" {ours['cpu_seconds'] / alone['cpu_seconds']:.2f} |"
        else:
            row += " | | |"
        rows.append(row)
    return "\n".join(rows) + "\n"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--source", choices=FORMATS, default="parquet")
    parser.add_argument("--threads", type=int, default=1, help="of each task; default: 1")
    parser.add_argument("--memory-mb", type=int, default=512, help="of each task; default: 512")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--defaults", action="store_true", help="DuckDB with its own limits, too")
    parser.add_argument("--folder", type=Path, help="where input is kept; default: a temporary one")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.json and .md")
    parser.add_argument("--quick", action="store_true", help="3,000 lines; judges no time")
    parser.add_argument("--json", action="store_true")
    return parser


def main() -> int:
    given = arguments().parse_args()
    if given.quick:
        given.lines = 3_000
    figures = measured(given)
    if given.write:
        found = results.read()
        found["data"][given.source] = figures
        results.write(found)
        page.made(results.read())
    sys.stdout.write(json.dumps(figures) + "\n" if given.json else table(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
