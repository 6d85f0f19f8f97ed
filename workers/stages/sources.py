"""Reading a source by SQL: a database through SQLAlchemy, or a folder of files through DuckDB.

Promises: the source is only read (a read-only connection where the database knows one, a single
SELECT or WITH, always rolled back), values are bound and never pasted into the SQL, rows come in
batches so that memory stays bounded, and no message names an address. A folder's CSV and Parquet
files are tables, named by their stems.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool import NullPool

from contracts.outcome import FaultKind
from contracts.stage_payloads import ColumnType, Scalar
from workers.stages import duck
from workers.stages.determinism import single_select
from workers.stages.faults import plain
from workers.stages.handler import StageFault, Workbench
from workers.stages.reading import address_of, folder_of
from workers.stages.text_columns import batch_of, schema_of
from workers.stages.views import create_folder_views

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_SQLITE_AWAY = ("unable to open", "locked", "malformed", "disk i/o", "not a database")
_FOLDER_MEMORY_MB = 512
_WENT_AWAY = "it was removed or replaced while it was read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to ask of which source. `types`: see `text_columns`."""

    source: str
    file: str
    sql: str
    values: Mapping[str, Scalar]
    types: Mapping[str, ColumnType]
    batch_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An open result: its schema, its batches, and a last look at whether it was whole."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def reading(bench: Workbench, query: Query) -> Iterator[Reading]:
    """Open the source and ask. Raises StageFault (source.*), also from the batches."""
    address = address_of(bench, query.source)
    folder = folder_of(address)
    if folder is not None:
        with _reading_folder(bench, query, folder) as result:
            yield result
    else:
        with _reading_database(query, address) as result:
            yield result


@contextmanager
def _reading_folder(bench: Workbench, query: Query, folder: Path) -> Iterator[Reading]:
    if not folder.is_dir():
        raise _unreachable(query.source, "the folder is not there")
    try:
        with duck.enclosed(
            bench, memory_mb=_FOLDER_MEMORY_MB, threads=1, folders=[folder.resolve()]
        ) as connection:
            # The same `:name` as for a database, numbered for DuckDB.
            compiled = sa.text(query.sql).compile(
                dialect=DefaultDialect(paramstyle="numeric_dollar")
            )
            single_select(connection, str(compiled), query.file)
            files = create_folder_views(connection, folder.resolve(), query.sql)
            still_there = _witness(files)
            values = [_value(query, name) for name in compiled.positiontup or ()]
            asked = f"({duck.bare(str(compiled))}\n)"
            names = [row[0] for row in connection.execute(f"DESCRIBE {asked}", values).fetchall()]
            schema = schema_of(names, query.types)
            casts = ", ".join(
                f"CAST({duck.identifier(name)} AS {_DUCK_TYPES[query.types.get(name, 'text')]}) "
                f"AS {duck.identifier(name)}"
                for name in names
            )
            reader = duck.arrow_reader(
                connection,
                f"SELECT {casts} FROM {asked}",  # noqa: S608 - the pipeline's own SQL
                values,
                query.batch_rows,
            )
            yield Reading(schema=schema, batches=(batch.cast(schema) for batch in reader))
        if not still_there():
            raise _unreachable(query.source, _WENT_AWAY)
    except StageFault as error:
        raise _of_a_folder(query, folder, error) from None


_DUCK_TYPES: Mapping[ColumnType, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}


def _of_a_folder(query: Query, folder: Path, error: StageFault) -> StageFault:
    """The fault as the source's: a file that went away, or a query that does not fit."""
    fault = error.fault
    if not folder.is_dir() or fault.code == "input.unreadable":
        return _unreachable(query.source, fault.message)
    if fault.code == "sql.failed":
        code = "source.type" if "Conversion Error" in fault.message else "source.refused"
        kind = FaultKind.BAD_INPUT if code == "source.type" else FaultKind.PERMANENT
        words = fault.message.removeprefix(f"{query.file}: ")
        return StageFault(kind, code, f"{query.file}: {words}")
    return error


@contextmanager
def _reading_database(query: Query, address: str) -> Iterator[Reading]:
    _require_select(query)
    # Colons of the SQL itself are escaped `\\:` as SQLAlchemy says; `::` is understood.
    statement = sa.text(query.sql)
    values = {name: _value(query, name) for name in statement.compile().params}
    with _database_errors(query, address):
        url = make_url(address)
        file = _sqlite_file(url)
        still_there = _witness([file] if file else [])
        engine = sa.create_engine(
            url, poolclass=NullPool, hide_parameters=True, **_read_only_engine(url)
        )
        try:
            with engine.connect() as connection:
                _make_read_only(connection)
                result = connection.execution_options(
                    stream_results=True, yield_per=query.batch_rows
                ).execute(statement, values)
                schema = schema_of(list(result.keys()), query.types)
                yield Reading(schema=schema, batches=_batches(result, schema, query.batch_rows))
                connection.rollback()
        finally:
            engine.dispose()
        if not still_there():
            raise _unreachable(query.source, _WENT_AWAY)


def _batches(
    result: sa.CursorResult[Any], schema: pa.Schema, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    for rows in result.partitions(batch_rows):
        yield batch_of(schema, rows)


def _require_select(query: Query) -> None:
    words = _COMMENT.sub(" ", query.sql).strip()
    if not re.match(r"(?i)(select|with)\b", words) or ";" in words.rstrip("; \n\t"):
        raise StageFault(
            FaultKind.PERMANENT, "sql.not_select", f"{query.file} is not a single SELECT"
        )


def _read_only_engine(url: URL) -> dict[str, Any]:
    path = _sqlite_file(url)
    if path is None:
        return {}
    address = f"{path.as_uri()}?mode=ro"
    return {"creator": lambda: sqlite3.connect(address, uri=True, timeout=10)}


def _make_read_only(connection: sa.Connection) -> None:
    match connection.dialect.name:
        case "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        case "postgresql" | "mysql" | "mariadb" | "oracle":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        case _:
            pass  # no such statement: the single SELECT and the rollback remain


def _witness(paths: Sequence[Path]) -> Callable[[], bool]:
    """Says later whether these are still the files that were opened.

    A reader with a file open would not notice that its name is gone, or stands for another file.
    """

    def identities() -> list[tuple[int, int] | None]:
        return [_identity(path) for path in paths]

    before = identities()
    return lambda: identities() == before


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sqlite_file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(str(url.database)).absolute()


@contextmanager
def _database_errors(query: Query, address: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        _refuse_database_error(query, address, error)
    except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        words = plain(error, *_hidden(address))
        raise StageFault(
            FaultKind.PERMANENT,
            "source.driver",
            f"source {query.source}: no driver is installed for it here: {words}",
        ) from None
    except sa.exc.SQLAlchemyError as error:
        raise StageFault(
            FaultKind.PERMANENT,
            "source.refused",
            f"source {query.source}: {plain(error, *_hidden(address))}",
        ) from None


def _refuse_database_error(query: Query, address: str, error: sa.exc.DBAPIError) -> Never:
    words = plain(error.orig, *_hidden(address))
    away = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    if isinstance(error.orig, sqlite3.Error):
        away = any(sign in words.lower() for sign in _SQLITE_AWAY)
    if away or error.connection_invalidated:
        raise _unreachable(query.source, words) from None
    raise StageFault(
        FaultKind.PERMANENT,
        "source.refused",
        f"source {query.source} refused {query.file}: {words}",
    ) from None


def _hidden(address: str) -> tuple[str, ...]:
    """What of an address a driver's words may repeat, and nobody is to read."""
    try:
        url = make_url(address)
    except sa.exc.ArgumentError:
        return (address,)
    parts = (address, url.host, url.username, url.password and str(url.password))
    return tuple(part for part in parts if part)


def _unreachable(source: str, words: str) -> StageFault:
    return StageFault(
        FaultKind.TRANSIENT, "source.unreachable", f"source {source} cannot be read: {words}"
    )


def _value(query: Query, name: str) -> Scalar:
    try:
        return query.values[name]
    except KeyError:
        raise StageFault(
            FaultKind.PERMANENT, "sql.failed", f"{query.file}: no value is given for :{name}"
        ) from None
