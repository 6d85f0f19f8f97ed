"""The first tables: runs, tasks, attempts, what they read and made, promises, events."""

import sqlalchemy as sa
from alembic import op

from fleet.ledger.types import Json, UtcTime, key, sequence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", key(120), nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.Column("started", UtcTime, nullable=False),
        sa.Column("ended", UtcTime, nullable=True),
        sa.Column("fault", Json, nullable=True),
        sa.Column("facts", Json, nullable=True),
        sa.Column("traceparent", key(55), nullable=True),
        sa.Column("reused_from", key(), nullable=True),
        sa.PrimaryKeyConstraint("task", "epoch", name="pk_attempt"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attempt_started", "attempt", ["started"])
    op.create_table(
        "dead_letter",
        sa.Column("queue", key(60), nullable=False),
        sa.Column("message_id", key(128), nullable=False),
        sa.Column("sequence_number", sequence(), autoincrement=False, nullable=False),
        sa.Column("task", key(), nullable=True),
        sa.Column("disposition", key(12), nullable=False),
        sa.Column("reason", sa.UnicodeText(), nullable=False),
        sa.Column("description", sa.UnicodeText(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("queue", "message_id", "sequence_number", name="pk_dead_letter"),
    )
    op.create_index("ix_dead_letter_at", "dead_letter", ["at"])
    op.create_table(
        "decision",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("recorded", UtcTime, nullable=False),
        sa.Column("decision", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("task", "epoch", "position", name="pk_decision"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event",
        sa.Column("seq", sequence(), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("run", key(), nullable=False),
        sa.Column("task", key(), nullable=True),
        sa.Column("actor", key(120), nullable=False),
        sa.Column("old", key(12), nullable=True),
        sa.Column("new", key(12), nullable=False),
        sa.Column("detail", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_event"),
    )
    op.create_index(
        "ix_event_of_run",
        "event",
        ["run"],
        sqlite_where=sa.text("task IS NULL"),
        postgresql_where=sa.text("task IS NULL"),
        mssql_where=sa.text("task IS NULL"),
    )
    op.create_index("ix_event_task", "event", ["task"])
    op.create_table(
        "input",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("pointer", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("task", "epoch", "position", name="pk_input"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sequence(), nullable=False),
        sa.Column("run", key(), nullable=False),
        sa.Column("task", key(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("queue", key(60), nullable=False),
        sa.Column("envelope", sa.UnicodeText(), nullable=False),
        sa.Column("not_before", UtcTime, nullable=True),
        sa.Column("promised", UtcTime, nullable=False),
        sa.Column("relayed", UtcTime, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_outbox"),
        sa.UniqueConstraint("task", "attempt", name="uq_outbox_task_attempt"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["seq"],
        sqlite_where=sa.text("relayed IS NULL"),
        postgresql_where=sa.text("relayed IS NULL"),
        mssql_where=sa.text("relayed IS NULL"),
    )
    op.create_table(
        "output",
        sa.Column("task", key(), nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", key(), nullable=False),
        sa.Column("stage", key(120), nullable=False),
        sa.Column("partition", key(400), nullable=False),
        sa.Column("produced", sa.Boolean(), nullable=False),
        sa.Column("name", key(500), nullable=False),
        sa.Column("recorded", UtcTime, nullable=False),
        sa.Column("pointer", sa.UnicodeText(), nullable=False),
        sa.PrimaryKeyConstraint("task", "epoch", "position", name="pk_output"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_output_run_stage", "output", ["run", "stage"])
    op.create_table(
        "run",
        sa.Column("run", key(), nullable=False),
        sa.Column("tenant", key(63), nullable=False),
        sa.Column("request_key", key(128), nullable=False),
        sa.Column("pipeline", key(60), nullable=False),
        sa.Column("requester", key(120), nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.Column("failing", key(12), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("open_tasks", sa.Integer(), nullable=False),
        sa.Column("submitted", UtcTime, nullable=False),
        sa.Column("ended", UtcTime, nullable=True),
        sa.Column("deadline", UtcTime, nullable=False),
        sa.Column("traceparent", key(55), nullable=True),
        sa.Column("request", sa.UnicodeText(), nullable=False),
        sa.Column("graph", sa.UnicodeText(), nullable=False),
        sa.Column("admitted", sa.UnicodeText(), nullable=False),
        sa.Column("lane_limits", Json, nullable=False),
        sa.PrimaryKeyConstraint("run", name="pk_run"),
        sa.UniqueConstraint("tenant", "request_key", name="uq_run_tenant_request_key"),
    )
    op.create_index("ix_run_submitted", "run", ["submitted"])
    op.create_table(
        "span",
        sa.Column("trace_id", key(32), nullable=False),
        sa.Column("span_id", key(16), nullable=False),
        sa.Column("parent_id", key(16), nullable=True),
        sa.Column("name", sa.UnicodeText(), nullable=False),
        sa.Column("kind", key(12), nullable=False),
        sa.Column("start_ns", sequence(), nullable=False),
        sa.Column("end_ns", sequence(), nullable=False),
        sa.Column("status", key(12), nullable=False),
        sa.Column("attributes", Json, nullable=False),
        sa.Column("run", key(), nullable=True),
        sa.Column("task", key(), nullable=True),
        sa.PrimaryKeyConstraint("trace_id", "span_id", name="pk_span"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "task",
        sa.Column("task", key(), nullable=False),
        sa.Column("run", key(), nullable=False),
        sa.Column("stage", key(120), nullable=False),
        sa.Column("partition", key(400), nullable=False),
        sa.Column("kind", key(120), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("lane", key(50), nullable=False),
        sa.Column("payload", sa.UnicodeText(), nullable=False),
        sa.Column("state", key(12), nullable=False),
        sa.Column("was", key(12), nullable=True),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("token", key(48), nullable=True),
        sa.Column("queued", UtcTime, nullable=True),
        sa.Column("worker", key(120), nullable=True),
        sa.Column("lease_until", UtcTime, nullable=True),
        sa.Column("started", UtcTime, nullable=True),
        sa.Column("ended", UtcTime, nullable=True),
        sa.Column("deadline", UtcTime, nullable=False),
        sa.Column("fault", Json, nullable=True),
        sa.PrimaryKeyConstraint("task", name="pk_task"),
    )
    op.create_index(
        "ix_task_leased",
        "task",
        ["lease_until"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
        mssql_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_task_open",
        "task",
        ["deadline", "lane", "state", "queued"],
        sqlite_where=sa.text("state IN ('queued', 'running', 'retrying', 'held', 'parked')"),
        postgresql_where=sa.text("state IN ('queued', 'running', 'retrying', 'held', 'parked')"),
        mssql_where=sa.text("state IN ('queued', 'running', 'retrying', 'held', 'parked')"),
    )
    op.create_index(
        "ix_task_ready",
        "task",
        ["run", "stage", "partition"],
        sqlite_where=sa.text("state = 'waiting' AND pending = 0"),
        postgresql_where=sa.text("state = 'waiting' AND pending = 0"),
        mssql_where=sa.text("state = 'waiting' AND pending = 0"),
    )
    op.create_index("ix_task_run_stage_state", "task", ["run", "stage", "state"])
    op.create_table(
        "worker",
        sa.Column("worker", key(120), nullable=False),
        sa.Column("lanes", Json, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.Column("last_seen", UtcTime, nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_worker"),
    )
