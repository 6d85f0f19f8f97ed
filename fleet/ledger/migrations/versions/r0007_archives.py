"""What was archived. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import UtcTime, key

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archive",
        sa.Column("digest", key(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("first_ended", UtcTime, nullable=False),
        sa.Column("last_ended", UtcTime, nullable=False),
        sa.Column("pointer", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_archive"),
    )
    op.create_index("ix_archive_at", "archive", ["at"])
