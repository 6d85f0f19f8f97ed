"""Schedules and what became of their times. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import UtcTime, key

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("name", key(60), nullable=False),
        sa.Column("spec", sa.UnicodeText(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("next_fire", UtcTime, nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed", UtcTime, nullable=False),
        sa.Column("changed_by", key(120), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_schedule"),
    )
    op.create_index("ix_schedule_next_fire", "schedule", ["next_fire"])
    op.create_table(
        "fire",
        sa.Column("schedule", key(60), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("outcome", key(12), nullable=False),
        sa.Column("run", key(), nullable=True),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("detail", sa.UnicodeText(), nullable=False),
        sa.Column("noted", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("schedule", "at", name="pk_fire"),
    )
