"""Pauses, slots, what is put off for want of one, ranks. Only adds: old workers go on.

The index of what is due is made anew in the order of ranks; old workers sort by themselves.
"""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import Json, UtcTime, key, sequence

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("ahead", sa.Integer(), nullable=True))
    _partial(
        "ix_task_ahead",
        "task",
        ["lane", "ahead", "queued"],
        "state IN ('queued', 'retrying') AND ahead IS NOT NULL",
    )
    op.add_column("outbox", sa.Column("rank", sa.Integer(), nullable=False, server_default="4"))
    op.add_column(
        "outbox", sa.Column("again", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.drop_index("ix_outbox_due", "outbox")
    _partial("ix_outbox_first", "outbox", ["rank", "seq"], "relayed IS NULL")
    _pauses()
    _slots()


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    bare = sa.text(where)
    op.create_index(
        name, table, columns, sqlite_where=bare, postgresql_where=bare, mssql_where=bare
    )


def _pauses() -> None:
    op.create_table(
        "pause",
        sa.Column("what", key(12), nullable=False),
        sa.Column("name", key(60), nullable=False),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("what", "name", name="pk_pause"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sequence(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("what", key(12), nullable=False),
        sa.Column("name", key(60), nullable=False),
        sa.Column("action", key(12), nullable=False),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=False),
        sa.Column("facts", Json, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_what_name_seq", "audit", ["what", "name", "seq"])


def _slots() -> None:
    op.create_table(
        "slot",
        sa.Column("key", key(200), nullable=False),
        sa.Column("task", key(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "task", name="pk_slot"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "slot_key",
        sa.Column("key", key(200), nullable=False),
        sa.Column("running", sa.Integer(), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=True),
        sa.Column("per", sa.Integer(), nullable=False),
        sa.Column("paced", UtcTime, nullable=False),
        sa.Column("turn", sequence(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_slot_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "put_off",
        sa.Column("task", key(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("run", key(), nullable=False),
        sa.Column("lane", key(50), nullable=False),
        sa.Column("pipeline", key(60), nullable=False),
        sa.Column("tenant", key(63), nullable=False),
        sa.Column("key", key(200), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("turn", sequence(), nullable=False),
        sa.Column("since", UtcTime, nullable=False),
        sa.Column("slots", Json, nullable=False),
        sa.PrimaryKeyConstraint("task", name="pk_put_off"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_put_off_key_rank_turn_task", "put_off", ["key", "rank", "turn", "task"])
