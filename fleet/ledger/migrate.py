"""Bringing the tables up to date: Alembic's revisions in `migrations`, run from here only.

Processes that start together do not run a revision twice: SQLite's upgrade is one write
transaction, and the others wait for their turn, however long it takes; PostgreSQL and SQL Server
take a named lock for as long.
"""

import logging
from enum import StrEnum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from fleet.ledger.turns import turns

_log = logging.getLogger(__name__)

_LOCKS = {
    "postgresql": "SELECT pg_advisory_xact_lock(7318602045)",
    "mssql": "EXEC sp_getapplock 'leaf-fleet-ledger', 'Exclusive', 'Transaction', 60000",
}


class Standing(StrEnum):
    """How a database's tables stand to those of this release."""

    CURRENT = "current"
    OLDER = "older"
    NEWER = "newer"
    FOREIGN = "foreign"
    """It was never the fleet's."""


def standing(engine: Engine) -> Standing:
    """What a database is to this release; changes nothing."""
    scripts = ScriptDirectory.from_config(_config())
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        ours = inspect(connection).has_table("attempt")
    if current is None or not ours:
        return Standing.FOREIGN
    if current == scripts.get_current_head():
        return Standing.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return Standing.OLDER if current in known else Standing.NEWER


def revision(engine: Engine) -> str | None:
    """The revision that a database's tables are at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def to_head(engine: Engine) -> None:
    """Run the revisions that are missing. Does nothing when there are none, or when a newer release
    has run its own."""
    with turns(engine.url.render_as_string(hide_password=False)) as turn, turn:
        _to_head(engine)


def _to_head(engine: Engine) -> None:
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    # One that is not known here was run by a newer release. Revisions only add, so this release can
    # go on with it; during a rolling upgrade its workers may well be started again.
    if current == scripts.get_current_head() or (current is not None and current not in known):
        return
    if current is not None:
        _log.info("the ledger's tables go from %s to %s", current, scripts.get_current_head())
    with engine.begin() as connection:
        if lock := _LOCKS.get(connection.dialect.name):
            connection.exec_driver_sql(lock)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
