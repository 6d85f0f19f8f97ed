"""What tenants use of their allowances, and approvals of runs. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import UtcTime, key, sequence

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("counted_day", key(10)))
    op.add_column("run", sa.Column("counted_tasks", sa.Integer()))
    op.add_column("run", sa.Column("counted_us", sequence()))
    _partial_index(
        "ix_run_counted", "run", ["tenant"], "state = 'running' AND counted_day IS NOT NULL"
    )
    _partial_index("ix_run_held", "run", ["tenant", "submitted", "run"], "state = 'held'")
    op.create_table(
        "run_approval",
        sa.Column("run", key(), nullable=False),
        sa.Column("digest", key(64), nullable=False),
        sa.Column("reasons", sa.UnicodeText(), nullable=False),
        sa.Column("asked", UtcTime, nullable=False),
        sa.Column("expires", UtcTime, nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.PrimaryKeyConstraint("run", name="pk_run_approval"),
    )
    _partial_index("ix_run_approval_open", "run_approval", ["expires"], "state = 'open'")
    op.create_table(
        "tenant_use",
        sa.Column("tenant", key(63), nullable=False),
        sa.Column("day", key(10), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("compute_us", sequence(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_tenant_use"),
    )


def _partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        table,
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
        mssql_where=sa.text(where),
    )
