"""What the ledger says to SQL Server, kept as text: `make ledger-golden` writes it anew.

While the ledger's tests run, every statement that reaches a database is compiled for SQL Server as
well. One that is not in the file fails its test, so that nobody changes what production is told
without seeing it. What only the other suites ask for is written down as well.
"""

import io
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, TextClause, event
from sqlalchemy.dialects.mssql import pyodbc

import fleet.ledger

FOLDER = Path(__file__).parent / "golden"
STATEMENTS, TABLES = FOLDER / "statements.sql", FOLDER / "tables.sql"
_END = ";\n\n"
_WRITING = "LEDGER_GOLDEN"

_seen: dict[str, str] = {}
"""T-SQL by the text that another database was sent."""

_AZURE_SQL = {"deprecate_large_types": True}
"""What the dialect would find out from the server it connects to."""
_dialect: Any = pyodbc.dialect(paramstyle="qmark", **_AZURE_SQL)  # type: ignore[no-untyped-call]
_dialect._supports_offset_fetch = True


def kept(file: Path) -> list[str]:
    """The statements of a golden file."""
    return [text for text in file.read_text(encoding="utf-8").split(_END) if text]


def see(
    _: Connection, __: Any, sent: str, ___: Any, context: Any, ____: bool
) -> None:  # the signature of SQLAlchemy's before_cursor_execute
    """Remember a statement, as SQL Server would be sent it."""
    compiled = context.compiled
    if context.dialect.name != "sqlite":
        return  # the same statements, and questions about the catalogue
    if sent in _seen or compiled is None or context.isddl or "alembic_version" in sent:
        return
    if isinstance(compiled.statement, TextClause):
        return  # a test's own
    again = compiled.statement.compile(
        dialect=_dialect, column_keys=compiled.column_keys, for_executemany=compiled.for_executemany
    )
    # A list is expanded when it is executed; here it is one parameter.
    _seen[sent] = re.sub(r"__\[POSTCOMPILE_[^\]]*\]", "?", str(again)).strip()


def unknown() -> list[str]:
    """Statements that were seen and are not in the file."""
    if os.environ.get(_WRITING):
        return []
    known = set(kept(STATEMENTS))
    return sorted(text for text in dict.fromkeys(_seen.values()) if text not in known)


def migrations() -> str:
    """What the revisions send to an empty Azure SQL database."""
    config = Config(output_buffer=(buffer := io.StringIO()))
    folder = Path(fleet.ledger.__file__).parent
    config.set_main_option("script_location", str(folder / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes |= {
        "dialect_name": "mssql",
        "dialect_opts": _AZURE_SQL,
        "mssql_batch_separator": "",
    }
    command.upgrade(config, "head", sql=True)
    return re.sub(r"\n\n+", "\n\n", buffer.getvalue()).strip() + "\n\n"


class Everywhere:
    """A plugin: sees all that a run of tests tells a ledger, whichever suite it is of."""

    def pytest_sessionstart(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._seen)

    def pytest_sessionfinish(self) -> None:
        event.remove(Engine, "before_cursor_execute", self._seen)

    def _seen(self, *told: Any) -> None:
        see(*told)  # the ledger's own tests listen by `see`, and stop after each


def main() -> int:
    """Run the tests that speak to a ledger, on SQLite, and write down what it was told; the
    other suites ask for more than the ledger's own tests. Takes some ten minutes."""
    os.environ[_WRITING] = "1"
    here = sys.modules["tests.fleet.ledger.tsql"] = sys.modules[__name__]
    FOLDER.mkdir(exist_ok=True)
    # Fuzzing asks for other filters each time.
    asked = ["-q", "-p", "no:cacheprovider", "-k", "not postgresql and not fuzz", *_ours()]
    failed = pytest.main(asked, plugins=[Everywhere()])
    STATEMENTS.write_text("".join(f"{text}{_END}" for text in sorted(set(here._seen.values()))))
    TABLES.write_text(migrations())
    return int(failed)


def _ours() -> list[str]:
    here = Path(__file__).parent
    tests = here.parents[1]
    suites = [str(here), *(str(tests / name) for name in ("dispatcher", "workers", "console"))]
    left_out = [here / "test_tsql.py", tests / "console" / "web" / "browser"]
    return suites + [f"--ignore={path}" for path in left_out]


if __name__ == "__main__":
    sys.exit(main())
