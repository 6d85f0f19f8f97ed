"""Which database errors are tried again."""

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from fleet.ledger.transient import is_transient


class ServerError(Exception):
    """As a driver raises it: pyodbc gives SQLSTATE and words, psycopg an attribute."""

    def __init__(self, *said: str, sqlstate: str | None = None) -> None:
        super().__init__(*said)
        self.sqlstate = sqlstate


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "cause",
    [
        sqlite_error(sqlite3.SQLITE_BUSY),
        sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT),
        ServerError("40001", "[40001] deadlock victim (1205) (SQLExecDirectW)"),
        ServerError("HY000", "[HY000] not currently available (40613) (SQLDriverConnect)"),
        ServerError("08S01", "[08S01] Communication link failure"),
        ServerError("deadlock detected", sqlstate="40P01"),
        ServerError("terminating connection", sqlstate="08006"),
    ],
    ids=str,
)
def test_what_passes_by_itself_is_tried_again(cause: Exception) -> None:
    """Locks, deadlocks, fail-overs and lost connections."""
    assert is_transient(OperationalError("", {}, cause))


@pytest.mark.parametrize(
    "cause",
    [
        sqlite_error(sqlite3.SQLITE_FULL),
        ServerError("23000", "[23000] duplicate key (2627) (SQLExecDirectW)"),
        ServerError("duplicate key", sqlstate="23505"),
        ServerError(),
    ],
    ids=["disk full", "duplicate key, ODBC", "duplicate key, psycopg", "says nothing"],
)
def test_what_stays_wrong_is_not_tried_again(cause: Exception) -> None:
    """It would only be late."""
    assert not is_transient(OperationalError("", {}, cause))
