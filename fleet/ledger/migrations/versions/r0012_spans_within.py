"""Spans that are folded into the one they ended in. Only adds: older readers see the outer ones."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("span", sa.Column("within", Json))
