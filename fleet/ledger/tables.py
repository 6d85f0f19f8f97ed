"""The ledger's tables. docs/explanation/ledger.md says what they are for.

There are no foreign keys: the ledger deletes nothing but promises that were taken up, and a key
checked on every bulk insert would cost more than the one writer needs telling.

On SQLite narrow rows lie in their key's own tree (sqlite_with_rowid=False); wide ones do not, as
one over 1,002 bytes takes a page of its own there.
"""

import re

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    Table,
    TextClause,
    UniqueConstraint,
    false,
    text,
)

from fleet.ledger.types import Json, Text, UtcTime, key, sequence

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Conditions of partial indexes. A database uses such an index only for a query that says the same,
# in constants: bound parameters are not looked at.
READY = text("task.state = 'waiting' AND task.pending = 0")
LEASED = text("task.state = 'running'")
OPEN = text("task.state IN ('queued', 'running', 'retrying', 'held', 'parked')")
DEAD = text("task.state IN ('failed', 'dead', 'denied', 'parked')")
UNANSWERED = text("approval.state = 'open'")
DUE = text("outbox.relayed IS NULL")
AHEAD = text("task.state IN ('queued', 'retrying') AND task.ahead IS NOT NULL")
OF_RUN = text("event.task IS NULL")
COUNTED = text("run.state = 'running' AND run.counted_day IS NOT NULL")
WAITING_RUN = text("run.state = 'held'")
UNANSWERED_RUN = text("run_approval.state = 'open'")
ENDED = text("task.ended IS NOT NULL")
BY_PEOPLE = text("event.facts IS NOT NULL")
REDRIVING = text("redrive_job.state = 'running'")
DRAINED = text("worker.drain_asked IS NOT NULL")
STOPPED = text("redrive_job.ended_by IS NOT NULL")


def _partial(name: str, *columns: str, where: TextClause) -> Index:
    bare = text(
        re.sub(
            r"\b(run|task|outbox|event|worker|redrive_job|approval|run_approval)\.", "", where.text
        )
    )
    return Index(name, *columns, sqlite_where=bare, postgresql_where=bare, mssql_where=bare)


run = Table(
    "run",
    metadata,
    Column("run", key(), primary_key=True),
    Column("tenant", key(63), nullable=False),
    # The idempotency key; the run's own id where the request had none, since SQL Server takes two
    # NULLs for the same key.
    Column("request_key", key(128), nullable=False),
    Column("pipeline", key(60), nullable=False),
    Column("requester", key(120), nullable=False),
    Column("state", key(12), nullable=False),
    # What the run will close as, once something of it has failed; nothing new is started then.
    Column("failing", key(12)),
    Column("cancel_requested", Boolean, nullable=False),
    Column("tasks", Integer, nullable=False),
    Column("open_tasks", Integer, nullable=False),
    Column("submitted", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("deadline", UtcTime, nullable=False),
    Column("traceparent", key(55)),
    Column("request", Text, nullable=False),
    Column("graph", Text, nullable=False),
    Column("admitted", Text, nullable=False),
    Column("lane_limits", Json, nullable=False),
    # What its tenant's allowance counts for it, and on which day; NULL where nothing limits it.
    Column("counted_day", key(10)),
    Column("counted_tasks", Integer),
    Column("counted_us", sequence()),
    UniqueConstraint("tenant", "request_key"),
    Index(None, "submitted"),
    _partial("ix_run_counted", "tenant", where=COUNTED),
    _partial("ix_run_held", "tenant", "submitted", "run", where=WAITING_RUN),
    # For the console's lists: each filter with the order of the list.
    Index(None, "state", "submitted"),
    Index(None, "tenant", "submitted"),
    Index(None, "pipeline", "submitted"),
)

task = Table(
    "task",
    metadata,
    Column("task", key(), primary_key=True),
    Column("run", key(), nullable=False),
    Column("stage", key(120), nullable=False),
    Column("partition", key(400), nullable=False),
    Column("kind", key(120), nullable=False),
    Column("version", Integer, nullable=False),
    Column("lane", key(50), nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", key(12), nullable=False),
    # The state before: what an update moved from, told by the update itself.
    Column("was", key(12)),
    Column("pending", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    # Of the last operation that moved this row: in a statement for many tasks, tells who won which.
    Column("token", key(48)),
    # When the attempt was, or will be, on its queue.
    Column("queued", UtcTime),
    Column("worker", key(120)),
    Column("lease_until", UtcTime),
    Column("started", UtcTime),
    Column("ended", UtcTime),
    Column("deadline", UtcTime, nullable=False),
    Column("fault", Json),
    # Its rank among those that workers take ahead of their queue, 0 first; most are not.
    Column("ahead", Integer),
    # Of the fault, while the task stands so that a redrive can open it; by it faults are grouped.
    Column("fingerprint", key(64)),
    # The digest of the promise that was taken up last; the promise itself is then gone.
    Column("promised", key(64)),
    # Asked of a running attempt. A default of the database: older workers add tasks without it.
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Index(None, "run", "stage", "state"),
    _partial("ix_task_ready", "run", "stage", "partition", where=READY),
    _partial("ix_task_leased", "lease_until", where=LEASED),
    _partial("ix_task_open", "deadline", "lane", "state", "queued", where=OPEN),
    _partial("ix_task_dead", "fingerprint", "stage", "task", where=DEAD),
    _partial("ix_task_ended", "ended", "lane", "state", where=ENDED),
    _partial("ix_task_ahead", "lane", "ahead", "queued", where=AHEAD),
)

attempt = Table(
    "attempt",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("worker", key(120), nullable=False),
    Column("state", key(12), nullable=False),
    Column("started", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("fault", Json),
    Column("facts", Json),
    Column("traceparent", key(55)),
    Column("reused_from", key()),
    Index(None, "started"),
    sqlite_with_rowid=False,
)

output = Table(
    "output",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("run", key(), nullable=False),
    Column("stage", key(120), nullable=False),
    Column("partition", key(400), nullable=False),
    # Whether the attempt succeeded: only then do later stages read it.
    Column("produced", Boolean, nullable=False),
    Column("name", key(500), nullable=False),
    Column("recorded", UtcTime, nullable=False),
    Column("pointer", Text, nullable=False),
    Index(None, "run", "stage"),
)

input_ = Table(
    "input",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("pointer", Text, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("recorded", UtcTime, nullable=False),
    Column("decision", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", sequence(), primary_key=True),
    Column("run", key(), nullable=False),
    Column("task", key(), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("queue", key(60), nullable=False),
    Column("envelope", Text, nullable=False),
    # contracts.promised; empty where an older process promised, whose word is taken.
    Column("digest", key(64), server_default=""),
    Column("not_before", UtcTime),
    Column("promised", UtcTime, nullable=False),
    Column("relayed", UtcTime),
    # What goes first has 0: 9 less the run's priority.
    Column("rank", Integer, nullable=False, server_default="4"),
    # Whether a message of this attempt was completed unrun: the next one needs another id.
    Column("again", Boolean, nullable=False, server_default=false()),
    # An attempt is promised once at a time.
    UniqueConstraint("task", "attempt"),
    _partial("ix_outbox_first", "rank", "seq", where=DUE),
    # A number is never used again, even after pruning: a relay may still hold it.
    sqlite_autoincrement=True,
)

event = Table(
    "event",
    metadata,
    Column("seq", sequence(), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("run", key(), nullable=False),
    Column("task", key()),
    Column("actor", key(120), nullable=False),
    Column("old", key(12)),
    Column("new", key(12), nullable=False),
    Column("detail", Text, nullable=False),
    # What an operator changed, as a JSON Patch.
    Column("facts", Json),
    Index(None, "task"),
    _partial("ix_event_of_run", "run", where=OF_RUN),
    _partial("ix_event_by_people", "at", where=BY_PEOPLE),
)

worker = Table(
    "worker",
    metadata,
    Column("worker", key(120), primary_key=True),
    Column("lanes", Json, nullable=False),
    Column("facts", Json, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("gone", Boolean, nullable=False),
    # That it is to stop: it is told with its next heartbeat.
    Column("drain_asked", UtcTime),
    Column("drained_by", key(120)),
    Column("drain_reason", Text),
    _partial("ix_worker_drained", "drain_asked", where=DRAINED),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("queue", key(60), primary_key=True),
    Column("message_id", key(128), primary_key=True),
    Column("sequence_number", sequence(), primary_key=True, autoincrement=False),
    Column("task", key()),
    Column("disposition", key(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("fingerprint", key(64)),
    # What its envelope says it is, where it could be read so far: who may take it up.
    Column("kind", key(120)),
    Column("version", Integer),
    # When it was sent again, and under which message id; it is no dead letter any more.
    Column("taken_up", UtcTime),
    Column("became", key(128)),
    Index(None, "at"),
)

redrive_job = Table(
    "redrive_job",
    metadata,
    Column("job", key(), primary_key=True),
    Column("state", key(12), nullable=False),
    Column("actor", key(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("selection", Json, nullable=False),
    Column("per_second", Integer),
    # Items are worked off in order: `redriven` + `refused` is also the position of the next one.
    Column("total", Integer, nullable=False),
    Column("redriven", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("asked", UtcTime, nullable=False),
    # Up to when its rate has been used.
    Column("paced", UtcTime, nullable=False),
    Column("ended", UtcTime),
    Column("ended_by", key(120)),
    Index(None, "asked"),
    _partial("ix_redrive_job_open", "asked", "job", where=REDRIVING),
    _partial("ix_redrive_job_stopped", "ended", where=STOPPED),
)

redrive_item = Table(
    "redrive_item",
    metadata,
    Column("job", key(), primary_key=True),
    Column("position", sequence(), primary_key=True, autoincrement=False),
    # A task and the attempt that failed; or a message.
    Column("task", key()),
    Column("attempt", Integer),
    Column("queue", key(60)),
    Column("message_id", key(128)),
    Column("sequence_number", sequence()),
    Column("fingerprint", key(64)),
    Column("state", key(12), nullable=False),
    # The attempt, or the message id, that it was redriven as.
    Column("became", key(128)),
    Column("at", UtcTime),
    Column("note", Text),
    Index(None, "task"),
    sqlite_with_rowid=False,
)

approval = Table(
    "approval",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("digest", key(64), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("asked", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    # open, approved, refused, expired
    Column("state", key(12), nullable=False),
    _partial("ix_approval_open", "expires", where=UNANSWERED),
)

vote = Table(
    "vote",
    metadata,
    Column("task", key(), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("person", key(120), primary_key=True),
    Column("approves", Boolean, nullable=False),
    Column("comment", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index(None, "at"),
)

# Of a run that is held before it has tasks; votes on it are those of epoch 0 of its id.
run_approval = Table(
    "run_approval",
    metadata,
    Column("run", key(), primary_key=True),
    Column("digest", key(64), nullable=False),
    Column("reasons", Text, nullable=False),
    Column("asked", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    # open; approved, refused, expired; over: it needs none any more
    Column("state", key(12), nullable=False),
    _partial("ix_run_approval_open", "expires", where=UNANSWERED_RUN),
)

tenant_use = Table(
    "tenant_use",
    metadata,
    Column("tenant", key(63), primary_key=True),
    Column("day", key(10), nullable=False),
    # Of runs admitted on that day: what they reserved, or used once they have ended.
    Column("tasks", Integer, nullable=False),
    Column("compute_us", sequence(), nullable=False),
)

archive = Table(
    "archive",
    metadata,
    Column("digest", key(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", key(120), nullable=False),
    Column("runs", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("first_ended", UtcTime, nullable=False),
    Column("last_ended", UtcTime, nullable=False),
    Column("pointer", Text, nullable=False),
    Index(None, "at"),
)

pause = Table(
    "pause",
    metadata,
    # lane, pipeline
    Column("what", key(12), primary_key=True),
    Column("name", key(60), primary_key=True),
    Column("actor", key(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

# What operators did to lanes, pipelines and schedules. Append-only.
audit = Table(
    "audit",
    metadata,
    Column("seq", sequence(), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("what", key(12), nullable=False),
    Column("name", key(60), nullable=False),
    Column("action", key(12), nullable=False),
    Column("actor", key(120), nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", Json),
    Index(None, "what", "name", "seq"),
    Index(None, "at"),
)

# A slot is held by a claim, and counts while its task runs at this epoch; before that, while the
# task is promised with the epoch that it will then have. Nothing has to give it back.
slot = Table(
    "slot",
    metadata,
    Column("key", key(200), primary_key=True),
    Column("task", key(), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    sqlite_with_rowid=False,
)

slot_key = Table(
    "slot_key",
    metadata,
    Column("key", key(200), primary_key=True),
    Column("running", Integer),
    Column("starts", Integer),
    Column("per", Integer, nullable=False),
    # From when on the next start is free.
    Column("paced", UtcTime, nullable=False),
    # The turn of the last that was given a slot; see fleet.ledger.put_off.
    Column("turn", sequence(), nullable=False),
    sqlite_with_rowid=False,
)

# Tasks that may not run yet, though nothing but leave is missing. Their messages were completed.
put_off = Table(
    "put_off",
    metadata,
    Column("task", key(), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("run", key(), nullable=False),
    Column("lane", key(50), nullable=False),
    Column("pipeline", key(60), nullable=False),
    Column("tenant", key(63), nullable=False),
    # What it waits for: a slot's key, or paused/<what>/<name>.
    Column("key", key(200), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("turn", sequence(), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("slots", Json, nullable=False),
    Index(None, "key", "rank", "turn", "task"),
    sqlite_with_rowid=False,
)

schedule = Table(
    "schedule",
    metadata,
    Column("name", key(60), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("next_fire", UtcTime),
    # Raised by every change, so that who fires does not move on what has changed meanwhile.
    Column("revision", Integer, nullable=False),
    Column("changed", UtcTime, nullable=False),
    Column("changed_by", key(120), nullable=False),
    Index(None, "next_fire"),
)

fire = Table(
    "fire",
    metadata,
    Column("schedule", key(60), primary_key=True),
    Column("at", UtcTime, primary_key=True, autoincrement=False),
    # started, triggered, skipped, refused
    Column("outcome", key(12), nullable=False),
    Column("run", key()),
    Column("actor", key(120), nullable=False),
    Column("detail", Text, nullable=False),
    Column("noted", UtcTime, nullable=False),
)

span = Table(
    "span",
    metadata,
    Column("trace_id", key(32), primary_key=True),
    Column("span_id", key(16), primary_key=True),
    Column("parent_id", key(16)),
    Column("name", Text, nullable=False),
    Column("kind", key(12), nullable=False),
    Column("start_ns", sequence(), nullable=False),
    Column("end_ns", sequence(), nullable=False),
    Column("status", key(12), nullable=False),
    Column("attributes", Json, nullable=False),
    Column("run", key()),
    Column("task", key()),
    # Spans that ended within it, folded; see fleet.ledger.spans.
    Column("within", Json),
)
