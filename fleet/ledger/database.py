"""Connecting: what each kind of database needs before the first statement.

SQLite: write-ahead log, every transaction begun for writing at once. A transaction that reads first
and then writes would fail, not wait, when another process wrote in between.
"""

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from fleet.ledger.errors import DriverMissing

BUSY_SECONDS = 5.0
"""How long one statement waits for another process's transaction, on SQLite."""


def open_engine(url: str) -> Engine:
    """An engine for writing. The folder of a SQLite file is made when it is not there."""
    engine = _engine(url, ping=False)  # the writer tries a lost transaction again by itself
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _prepare_writing)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def open_reading_engine(url: str, *, mapped: bool = True) -> Engine:
    """An engine whose connections cannot write. On SQL Server only the account's rights say so:
    give readers one that `grant_reading` was run for.

    `mapped`: a SQLite file is read in the system's own pages of it. A list of a large ledger
    touches many; whoever reads a run of any width to its end leaves it, for they count as its
    memory.
    """
    # A connection that a fail-over closed is found out before a question is lost to it.
    engine = _engine(url, ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_reading)
        if mapped:
            event.listen(engine, "connect", _map_the_file)
        event.listen(engine, "begin", _begin_reading)
    if engine.dialect.name == "postgresql":
        return engine.execution_options(postgresql_readonly=True)
    return engine


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite ledger; None for any other database."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def _engine(url: str, *, ping: bool) -> Engine:
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            # autocommit at the driver: SQLAlchemy's begin event says when and how.
            return create_engine(
                url,
                connect_args={
                    "timeout": BUSY_SECONDS,
                    "isolation_level": None,
                    "check_same_thread": False,
                },
                hide_parameters=True,
            )
        case "mssql":
            from fleet.ledger.azure_sql import open_sql_server

            return open_sql_server(parsed, ping=ping)
        case _:
            return _other(parsed, ping=ping)


def _other(url: URL, *, ping: bool) -> Engine:
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=ping)
    except ImportError as cause:
        raise DriverMissing(
            f"FLEET_LEDGER_URL names {url.get_backend_name()}, and its driver is not installed "
            f"({cause}); for PostgreSQL install leaf-fleet[postgresql]"
        ) from None


def _prepare_writing(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may lose the last commits but never tears the file; a crash of the process loses
    # nothing. FULL costs an fsync for each group.
    connection.execute("PRAGMA synchronous = NORMAL")
    # 32 MiB: task ids are hashes, so a wide run touches pages all over. It is most of what a worker
    # grows by between a fan-out of 1,000 and one of 100,000 (bench/fan_out.py).
    connection.execute("PRAGMA cache_size = -32000")


def _prepare_reading(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA query_only = ON")


def _map_the_file(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA mmap_size = 1073741824")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
