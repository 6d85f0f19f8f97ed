"""A second account that may look and not write: for the console and whoever else only reads."""

from sqlalchemy import Engine

from fleet.errors import FleetError

_GRANTS = {
    "postgresql": (
        "GRANT USAGE ON SCHEMA {schema} TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
    ),
    # Of a schema, so that it holds for the tables of later revisions as well.
    "mssql": ("GRANT SELECT ON SCHEMA::{schema} TO {role}",),
}


class RoleRefused(FleetError):
    """This kind of database has no accounts. Nothing was granted."""


def grant_reading(engine: Engine, role: str) -> None:
    """Let an account or role that is there already read every table of the ledger, and those that
    later revisions add. Granting twice is harmless. Raises RoleRefused."""
    dialect = engine.dialect
    if dialect.name not in _GRANTS:
        raise RoleRefused(
            f"{dialect.name} has no accounts: who may read the ledger is said by the file's rights"
        )
    quote = dialect.identifier_preparer.quote_identifier
    with engine.begin() as connection:
        schema = quote(dialect.default_schema_name or "public")
        for grant in _GRANTS[dialect.name]:
            connection.exec_driver_sql(grant.format(schema=schema, role=quote(role)))
