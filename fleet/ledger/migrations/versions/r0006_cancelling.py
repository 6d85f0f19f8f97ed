"""Tasks whose cancellation was asked for; digests of promises. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import key

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("digest", key(64), server_default=""))
    op.add_column("task", sa.Column("promised", key(64)))
    op.add_column(
        "task",
        sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
