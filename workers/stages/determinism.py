"""Which SQL the fleet runs: one SELECT, and nothing in it that answers differently next time.

DuckDB parses the query and gives its tree as JSON; the tree is searched, nothing is bound or run.
What a parser cannot see stays with the author: a window without a total order, a LIMIT without an
ORDER BY, a sum of floats inside an expression. `fleet verify` finds those.
"""

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from contracts.outcome import FaultKind
from workers.stages.faults import plain
from workers.stages.handler import StageFault

_CHANGING = frozenset(
    [
        "random",
        "setseed",
        "uuid",
        "uuidv4",
        "uuidv7",
        "gen_random_uuid",
        "now",
        "today",
        "current_date",
        "current_time",
        "current_timestamp",
        "localtime",
        "localtimestamp",
        "get_current_time",
        "get_current_timestamp",
        "transaction_timestamp",
        "current_localtime",
        "current_localtimestamp",
        "txid_current",
        "nextval",
        "current_setting",
        "getvariable",
        "pg_backend_pid",
        "version",
    ]
)
"""Functions whose answer depends on the clock, on chance or on the machine."""

_ORDERED = frozenset(
    [
        "first",
        "last",
        "any_value",
        "arbitrary",
        "list",
        "array_agg",
        "string_agg",
        "group_concat",
        "listagg",
    ]
)
"""Aggregates whose answer depends on the order of rows, unless they are given one."""


def single_select(connection: duckdb.DuckDBPyConnection, sql: str, name: str) -> dict[str, Any]:
    """The query's syntax tree. `name` is the pipeline's file, for the message.

    Raises StageFault (sql.failed, sql.not_select).
    """
    row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {}
    if tree.get("error_type") == "not implemented" or len(tree.get("statements", ())) > 1:
        raise StageFault(FaultKind.PERMANENT, "sql.not_select", f"{name} is not a single SELECT")
    if tree.get("error"):
        raise StageFault(
            FaultKind.PERMANENT, "sql.failed", f"{name}: {plain(tree['error_message'])}"
        )
    return tree


def require_deterministic(
    connection: duckdb.DuckDBPyConnection, sql: str, name: str
) -> dict[str, Any]:
    """The query's tree. Raises StageFault (sql.not_deterministic; and as `single_select`)."""
    tree = single_select(connection, sql, name)
    if reasons := sorted(set(_reasons(tree))):
        raise StageFault(
            FaultKind.PERMANENT, "sql.not_deterministic", f"{name}: {'; '.join(reasons)}"
        )
    return tree


def _reasons(tree: dict[str, Any]) -> Iterator[str]:
    for node in _nodes(tree):
        if node.get("sample"):
            yield "a sample differs each time"
        function = str(node.get("function_name", "")).lower()
        if function in _CHANGING:
            yield f"{function}() differs each time"
        if (
            function in _ORDERED
            and node.get("class") == "FUNCTION"
            and not (node.get("order_bys") or {}).get("orders")
        ):
            yield f"{function}() needs an ORDER BY inside it, or use min() or max()"
        if node.get("class") == "COLUMN_REF" and len(names := node["column_names"]) == 1:
            column = str(names[0]).lower()
            if column in _CHANGING and column.startswith(("current_", "local")):
                yield f"{column} differs each time"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
