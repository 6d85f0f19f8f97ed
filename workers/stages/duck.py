"""DuckDB, shut in: an in-memory database for one attempt that can read its inputs and no more.

`enclosed` gives a connection whose memory is bounded, that spills only into the attempt's scratch
folder, loads no extension, reaches no network, and opens no file but the inputs; the configuration
is then locked, so a pipeline's SQL cannot open it again. `workers.stages.views` puts the
inputs in reach. A cancelled attempt interrupts the query. The time zone is UTC.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from contracts.outcome import FaultKind
from contracts.stage_payloads import Scalar
from workers.stages.faults import cancelled, plain
from workers.stages.handler import Signals, StageFault, Workbench
from workers.stages.parquet import ROW_GROUP, write_parquet

_POLL = 0.05
"""Seconds between two looks at the cancellation signal while a query runs."""

_AS_BIGINT = frozenset({"HUGEINT", "UBIGINT", "UHUGEINT"})
_AS_TEXT = frozenset({"JSON", "UUID"})
_FLOATING = re.compile(r"\b(DOUBLE|FLOAT|REAL)\b")

Connection = duckdb.DuckDBPyConnection


@contextmanager
def enclosed(
    bench: Workbench,
    *,
    memory_mb: int,
    threads: int,
    files: Iterable[Path | str] = (),
    folders: Iterable[Path] = (),
) -> Iterator[Connection]:
    """A connection that can read `files` and what is below `folders`.

    DuckDB's errors inside the block become StageFault (sql.failed, sql.out_of_memory,
    input.unreadable, cancelled).
    """
    spill = bench.scratch / ".spill"
    spill.mkdir(exist_ok=True)
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": str(spill),
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "enable_external_file_cache": False,
            "preserve_insertion_order": True,
            # DuckDB 2.0 moves a TRY_CAST into the reader of a CSV, where it fails the query on
            # the first bad value instead of giving null.
            "disabled_optimizers": "type_pushdown",
        },
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        # A bar would be drawn on the worker's output.
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET allowed_paths = ?", [[str(path) for path in files]])
        connection.execute("SET allowed_directories = ?", [[f"{path}/" for path in folders]])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        with _interrupted_when_cancelled(connection, bench.signals):
            yield connection
    except duckdb.Error as error:
        raise fault_of(error) from None
    finally:
        connection.close()


def fault_of(error: duckdb.Error, file: str = "") -> StageFault:
    """DuckDB's error as ours; `file` is the pipeline's file that it came from."""
    where = f"{file}: " if file else ""
    words = f"{where}{plain(error)}"
    match error:
        case duckdb.InterruptException():
            return cancelled()
        case duckdb.OutOfMemoryException():
            return StageFault(FaultKind.PERMANENT, "sql.out_of_memory", words)
        case duckdb.IOException():
            return StageFault(FaultKind.PERMANENT, "input.unreadable", words)
        case _ if "CSV Error" in str(error):
            return StageFault(FaultKind.BAD_INPUT, "input.unreadable", words)
        case _:
            return StageFault(FaultKind.PERMANENT, "sql.failed", words)


@contextmanager
def _interrupted_when_cancelled(connection: Connection, signals: Signals) -> Iterator[None]:
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_POLL):
            if signals.cancelled():
                connection.interrupt()

    watcher = threading.Thread(target=watch, name="duckdb-cancellation", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def bound(connection: Connection, sql: str, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Those of `values` that `sql` names as `$name`. Raises StageFault (sql.failed)."""
    wanted = connection.extract_statements(sql)[0].named_parameters
    if missing := sorted(wanted - set(values)):
        raise StageFault(
            FaultKind.PERMANENT, "sql.failed", f"no value is given for ${', $'.join(missing)}"
        )
    return {name: values[name] for name in sorted(wanted)}


def write_table(
    connection: Connection,
    sql: str,
    values: Mapping[str, Scalar],
    path: Path,
    name: str,
    *,
    as_read: bool = False,
) -> int:
    """Write what a SELECT gives to `path`, in a total order; returns the number of rows.

    Rows are ordered by all columns from left to right, so the first columns should be the keys.
    With `as_read` a SELECT that only filters and computes row by row keeps the order of its input.
    Sums of integers (HUGEINT) are written as BIGINT. Raises StageFault (sql.*).
    """
    try:
        return _write_table(connection, sql, values, path, name, as_read=as_read)
    except duckdb.Error as error:
        raise fault_of(error, name) from None


def _write_table(
    connection: Connection,
    sql: str,
    values: Mapping[str, Scalar],
    path: Path,
    name: str,
    *,
    as_read: bool,
) -> int:
    values = bound(connection, sql, values)
    query = bare(sql)
    columns = connection.execute(f"DESCRIBE ({query})", values).fetchall()
    replaced: list[str] = []
    for column, kind, *_ in columns:
        if _FLOATING.search(kind):
            raise StageFault(
                FaultKind.PERMANENT,
                "sql.float_column",
                f"{name}: column {column} is {kind}; use integer cents or DECIMAL",
            )
        if kind in _AS_BIGINT or kind in _AS_TEXT:
            wanted = "BIGINT" if kind in _AS_BIGINT else "VARCHAR"
            quoted = identifier(column)
            replaced.append(f"CAST({quoted} AS {wanted}) AS {quoted}")
    replace = f" REPLACE ({', '.join(replaced)})" if replaced else ""
    query = f"SELECT *{replace} FROM (\n{query}\n)"  # noqa: S608 - the pipeline's own SQL
    if not (as_read and _row_by_row(connection, query, values)):
        # Identical rows may change places unseen, so this order is total.
        query += " ORDER BY ALL"
    reader = arrow_reader(connection, query, values, ROW_GROUP)
    return write_parquet(path, reader.schema, reader)


_KEEP_ORDER = frozenset({"PROJECTION", "FILTER", "READ_PARQUET", "READ_CSV", "SEQ_SCAN"})
"""Operators that give rows in the order in which they take them, whatever the threads."""


def _row_by_row(connection: Connection, query: str, values: Mapping[str, Scalar]) -> bool:
    """Whether nothing in the query's plan can change the order of rows."""
    explained = connection.execute(f"EXPLAIN (FORMAT json) {query}", dict(values)).fetchone()
    waiting: list[dict[str, Any]] = json.loads(explained[1]) if explained else [{"name": ""}]
    operators = set()
    while waiting:
        node = waiting.pop()
        operators.add(node["name"].strip())
        waiting += node.get("children", [])
    return operators <= _KEEP_ORDER


def arrow_reader(
    connection: Connection,
    query: str,
    values: Mapping[str, Scalar] | Sequence[Scalar],
    batch_rows: int,
) -> pa.RecordBatchReader:
    """The rows of a SELECT in batches, not materialised in DuckDB first."""
    relation = connection.sql(query, params=values or None)
    reader: pa.RecordBatchReader = relation.to_arrow_reader(batch_rows)
    return reader


def rows_of(
    connection: Connection, sql: str, values: Mapping[str, Scalar] | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a small result."""
    result = connection.execute(sql, dict(values or {}))
    return [column[0] for column in result.description or ()], result.fetchall()


def bare(sql: str) -> str:
    """The query without a closing semicolon, fit to stand in parentheses."""
    return sql.strip().rstrip(";").rstrip()


def identifier(name: str) -> str:
    """`name` quoted as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
