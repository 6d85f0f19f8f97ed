"""Workers that are asked to stop. Only adds: old workers go on, and do not hear of it."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import UtcTime, key

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker", sa.Column("drain_asked", UtcTime))
    op.add_column("worker", sa.Column("drained_by", key(120)))
    op.add_column("worker", sa.Column("drain_reason", sa.UnicodeText()))
    asked = sa.text("drain_asked IS NOT NULL")
    op.create_index(
        "ix_worker_drained",
        "worker",
        ["drain_asked"],
        sqlite_where=asked,
        postgresql_where=asked,
        mssql_where=asked,
    )
