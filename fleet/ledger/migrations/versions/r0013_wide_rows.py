"""SQLite keeps the tables with wide rows in the order in which they are written.

Within a primary key's own tree (WITHOUT ROWID) a row over 1,002 bytes takes a page of its own for
what is beyond 489, and each row is written somewhere else. Other databases keep them as they were.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_WIDE = ("decision", "input", "output", "span")


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in _WIDE:
            _rewrite(table)


def _rewrite(table: str) -> None:
    """Columns, keys and indexes as they are, the rows in the order of the key."""
    bind = op.get_bind()
    told = bind.exec_driver_sql(
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL", (table,)
    ).all()
    (made,) = (sql for kind, sql in told if kind == "table")
    columns = made[made.index("(") : made.rindex(")") + 1]
    bind.exec_driver_sql(f"CREATE TABLE wide {columns}")
    bind.exec_driver_sql(f"INSERT INTO wide SELECT * FROM {table}")  # noqa: S608 - a name of ours
    bind.exec_driver_sql(f"DROP TABLE {table}")
    bind.exec_driver_sql(f"ALTER TABLE wide RENAME TO {table}")
    for index in (sql for kind, sql in told if kind == "index"):
        bind.exec_driver_sql(index)
