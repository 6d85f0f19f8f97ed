"""Dead letters by fingerprint, redrives as jobs, edits in events. Only adds: old workers go on."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import Json, UtcTime, key, sequence

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("fingerprint", key(64), nullable=True))
    op.create_index(
        "ix_task_dead",
        "task",
        ["fingerprint", "stage", "task"],
        sqlite_where=sa.text("state IN ('failed', 'dead', 'denied', 'parked')"),
        postgresql_where=sa.text("state IN ('failed', 'dead', 'denied', 'parked')"),
        mssql_where=sa.text("state IN ('failed', 'dead', 'denied', 'parked')"),
    )
    op.add_column("dead_letter", sa.Column("fingerprint", key(64), nullable=True))
    op.add_column("dead_letter", sa.Column("kind", key(120), nullable=True))
    op.add_column("dead_letter", sa.Column("version", sa.Integer(), nullable=True))
    op.add_column("dead_letter", sa.Column("taken_up", UtcTime, nullable=True))
    op.add_column("dead_letter", sa.Column("became", key(128), nullable=True))
    op.add_column("event", sa.Column("facts", Json, nullable=True))
    op.create_table(
        "redrive_job",
        sa.Column("job", key(), nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=False),
        sa.Column("selection", Json, nullable=False),
        sa.Column("per_second", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("redriven", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("asked", UtcTime, nullable=False),
        sa.Column("paced", UtcTime, nullable=False),
        sa.Column("ended", UtcTime, nullable=True),
        sa.Column("ended_by", key(120), nullable=True),
        sa.PrimaryKeyConstraint("job", name="pk_redrive_job"),
    )
    op.create_index("ix_redrive_job_asked", "redrive_job", ["asked"])
    op.create_index(
        "ix_redrive_job_open",
        "redrive_job",
        ["asked", "job"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
        mssql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "redrive_item",
        sa.Column("job", key(), nullable=False),
        sa.Column("position", sequence(), autoincrement=False, nullable=False),
        sa.Column("task", key(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("queue", key(60), nullable=True),
        sa.Column("message_id", key(128), nullable=True),
        sa.Column("sequence_number", sequence(), nullable=True),
        sa.Column("fingerprint", key(64), nullable=True),
        sa.Column("state", key(12), nullable=False),
        sa.Column("became", key(128), nullable=True),
        sa.Column("at", UtcTime, nullable=True),
        sa.Column("note", sa.UnicodeText(), nullable=True),
        sa.PrimaryKeyConstraint("job", "position", name="pk_redrive_item"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_redrive_item_task", "redrive_item", ["task"])
