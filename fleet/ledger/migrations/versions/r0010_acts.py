"""Indexes for what people did. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_audit_at", "audit", ["at"])
    stopped = sa.text("ended_by IS NOT NULL")
    op.create_index(
        "ix_redrive_job_stopped",
        "redrive_job",
        ["ended"],
        sqlite_where=stopped,
        postgresql_where=stopped,
        mssql_where=stopped,
    )
