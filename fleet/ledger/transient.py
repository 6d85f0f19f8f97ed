"""Which database errors pass by themselves. Then the whole transaction is tried again.

Sources: Azure SQL "Troubleshoot transient connection errors", PostgreSQL appendix A, SQLite result
codes.
"""

import sqlite3

from sqlalchemy.exc import DBAPIError

_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57P01", "08S01"})

_SQL_SERVER = frozenset(
    {1204, 1205, 1222, 3960, 4060, 4221, 10053, 10054, 10060, 10928, 10929, 40143, 40197, 40501}
    | {40540, 40613, 41301, 41302, 41305, 41325, 41839, 49918, 49919, 49920, 49977, 49983}
    | {20, 64, 121, 233, 997}
)


def is_transient(error: DBAPIError) -> bool:
    """Whether trying the transaction again, on another connection, can help."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # The low byte is the primary code; the rest says which kind of busy.
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE
    if state := getattr(cause, "sqlstate", None):  # psycopg
        return str(state) in _SQLSTATES or str(state).startswith("08")
    # pyodbc: (SQLSTATE, "... (number) (SQLExecDirectW)")
    arguments: tuple[object, ...] = getattr(cause, "args", ())
    if len(arguments) < 2:
        return False
    state, words = str(arguments[0]), str(arguments[1])
    return (
        state in _SQLSTATES
        or state.startswith("08")
        or any(f"({number})" in words for number in _SQL_SERVER)
    )
