"""The same SQL on the same files by DuckDB alone, as a script would have it: COPY to Parquet.

The pipeline's own queries and rules, without what the fleet adds: a total order, pinned bytes, the
closed connection, digests. A task is one process here too.
"""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import yaml

from bench.data.apart import Call, Cost, Limits
from bench.data.claims import CLIENT
from bench.data.stages import HOME, RULES, SQL

_PARQUET = "(FORMAT parquet, COMPRESSION zstd)"


@dataclass(frozen=True, slots=True)
class Script:
    """Statements of one connection."""

    statements: tuple[str, ...]
    spill: str
    limits: Limits | None
    """None: DuckDB's own defaults, all cores and most of the memory."""


@dataclass(slots=True)
class Plain:
    """The scripts' files below `folder`, and what each stage cost, by the fleet's stage names."""

    folder: Path
    limits: Limits | None
    call: Call
    costs: dict[str, Cost] = field(default_factory=dict)

    def run(self, stage: str, *statements: str) -> list[str]:
        """One task; the first column of what its last statement gives."""
        script = Script(statements, str(self.folder / "spill"), self.limits)
        found, cost = self.call(carried_out, script)
        self.costs.setdefault(stage, Cost()).add(cost)
        return found

    def file(self, name: str) -> str:
        return str(self.folder / f"{name}.parquet")


def carried_out(script: Script) -> list[str]:
    """The first column of the last result."""
    config: dict[str, str | int] = {"temp_directory": script.spill}
    if script.limits is not None:
        config["threads"] = script.limits.threads
        config["memory_limit"] = f"{script.limits.memory_mb}MB"
    with duckdb.connect(":memory:", config=config) as connection:
        connection.execute("SET enable_progress_bar = false")
        for statement in script.statements:
            connection.execute(statement)
        return [str(row[0]) for row in connection.fetchall()]


def by_duckdb_alone(
    folder: Path, claims: Path, terms: Path, limits: Limits | None, call: Call
) -> dict[str, Cost]:
    """What each stage cost. `claims` is the source's file, `terms` the fleet's table of terms."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = Plain(folder, limits, call)
    reader = "read_parquet" if claims.suffix == ".parquet" else "read_csv"
    options = ", all_varchar = true" if reader == "read_csv" else ""
    source = _view("claim_lines", f"{reader}('{claims}'{options})")
    months = plain.run("months", source, _bound(f"{SQL}/months.sql"))
    for month in months:
        copied = _copy(_bound(f"{SQL}/claims.sql", month), plain.file(f"claims-{month}"))
        plain.run("claims", source, copied)
    for month in months:
        claimed = _view("claims", f"read_parquet('{plain.file(f'claims-{month}')}')")
        plain.run("typed", claimed, _copy(_bound(f"{SQL}/typed.sql"), plain.file(f"typed-{month}")))
    plain.run("checked", *_checked(plain, [plain.file(f"typed-{month}") for month in months]))
    plain.run(
        "guarantees",
        _view("checked_accepted", f"read_parquet('{plain.file('accepted')}')"),
        _view("terms_accepted", f"read_parquet('{terms}')"),
        _copy(_bound("sql/guarantees.sql"), plain.file("lines")),
        _copy(_bound("sql/by_month.sql"), plain.file("months")),
    )
    return plain.costs


def _checked(plain: Plain, typed: list[str]) -> list[str]:
    """The rules as one would write them by hand."""
    rules = yaml.safe_load((HOME / RULES).read_text(encoding="utf-8"))["rules"]
    checks = {rule["name"]: rule["check"] for rule in rules if "check" in rule}
    warnings = {rule["name"] for rule in rules if rule["severity"] == "warning"}
    verdicts = ", ".join(
        f"coalesce(({check}), false) AS __{name}" for name, check in checks.items()
    )
    words = ", ".join(
        f"CASE WHEN NOT __{name} THEN '{name}' END" for name in checks if name not in warnings
    )
    counts = ", ".join(f"count(*) FILTER (NOT __{name})" for name in checks)
    hidden = ", ".join(f"__{name}" for name in checks)
    good = f"SELECT * EXCLUDE ({hidden}, broken) FROM checked WHERE broken = ''"
    bad = f"SELECT * EXCLUDE ({hidden}) FROM checked WHERE broken <> ''"
    return [
        _view("candidates", f"read_parquet({typed})"),
        f"CREATE TABLE checked AS SELECT *, concat_ws(', ', {words}) AS broken FROM "
        f"(SELECT *, {verdicts} FROM candidates)".replace("$client", f"'{CLIENT}'"),
        f"SELECT {counts} FROM checked",
        *(rule["rows"] for rule in rules if "rows" in rule),
        _copy(good, plain.file("accepted")),
        _copy(bad, plain.file("rejected")),
    ]


def _bound(file: str, month: str = "") -> str:
    text = (HOME / file).read_text(encoding="utf-8")
    return text.replace(":client", f"'{CLIENT}'").replace(":month", f"'{month}'")


def _copy(query: str, path: str) -> str:
    return f"COPY ({query}) TO '{path}' {_PARQUET}"


def _view(name: str, table: str) -> str:
    return f"CREATE VIEW {name} AS SELECT * FROM {table}"
