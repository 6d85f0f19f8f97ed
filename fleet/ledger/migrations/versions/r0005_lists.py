"""Indexes for the console's lists. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("state", "tenant", "pipeline"):
        op.create_index(f"ix_run_{column}_submitted", "run", [column, "submitted"])
    op.create_index("ix_vote_at", "vote", ["at"])
    _partial("ix_task_ended", "task", ["ended", "lane", "state"], "ended IS NOT NULL")
    _partial("ix_event_by_people", "event", ["at"], "facts IS NOT NULL")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        table,
        columns,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
        mssql_where=sa.text(where),
    )
