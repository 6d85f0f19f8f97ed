"""Approvals that were asked for, and the votes on them. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import UtcTime, key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "approval",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", key(64), nullable=False),
        sa.Column("reasons", sa.UnicodeText(), nullable=False),
        sa.Column("asked", UtcTime, nullable=False),
        sa.Column("expires", UtcTime, nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.PrimaryKeyConstraint("task", "epoch", name="pk_approval"),
    )
    op.create_index(
        "ix_approval_open",
        "approval",
        ["expires"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
        mssql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "vote",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("person", key(120), nullable=False),
        sa.Column("approves", sa.Boolean(), nullable=False),
        sa.Column("comment", sa.UnicodeText(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("task", "epoch", "person", name="pk_vote"),
    )
