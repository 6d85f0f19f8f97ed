CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE attempt (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    number INTEGER NOT NULL, 
    worker NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    started BIGINT NOT NULL, 
    ended BIGINT NULL, 
    fault NVARCHAR(max) NULL, 
    facts NVARCHAR(max) NULL, 
    traceparent NVARCHAR(55) COLLATE Latin1_General_100_BIN2 NULL, 
    reused_from NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    CONSTRAINT pk_attempt PRIMARY KEY (task, epoch)
);

CREATE INDEX ix_attempt_started ON attempt (started);

CREATE TABLE dead_letter (
    queue NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    message_id NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    sequence_number BIGINT NOT NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    disposition NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reason NVARCHAR(max) NOT NULL, 
    description NVARCHAR(max) NOT NULL, 
    size INTEGER NOT NULL, 
    at BIGINT NOT NULL, 
    CONSTRAINT pk_dead_letter PRIMARY KEY (queue, message_id, sequence_number)
);

CREATE INDEX ix_dead_letter_at ON dead_letter (at);

CREATE TABLE decision (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    position INTEGER NOT NULL, 
    recorded BIGINT NOT NULL, 
    decision NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_decision PRIMARY KEY (task, epoch, position)
);

CREATE TABLE event (
    seq BIGINT NOT NULL IDENTITY, 
    at BIGINT NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    old NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NULL, 
    new NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    detail NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_event PRIMARY KEY (seq)
);

CREATE INDEX ix_event_of_run ON event (run) WHERE task IS NULL;

CREATE INDEX ix_event_task ON event (task);

CREATE TABLE input (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    position INTEGER NOT NULL, 
    pointer NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_input PRIMARY KEY (task, epoch, position)
);

CREATE TABLE outbox (
    seq BIGINT NOT NULL IDENTITY, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    attempt INTEGER NOT NULL, 
    queue NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    envelope NVARCHAR(max) NOT NULL, 
    not_before BIGINT NULL, 
    promised BIGINT NOT NULL, 
    relayed BIGINT NULL, 
    CONSTRAINT pk_outbox PRIMARY KEY (seq), 
    CONSTRAINT uq_outbox_task_attempt UNIQUE (task, attempt)
);

CREATE INDEX ix_outbox_due ON outbox (seq) WHERE relayed IS NULL;

CREATE TABLE output (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    position INTEGER NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    stage NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    partition NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    produced BIT NOT NULL, 
    name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    recorded BIGINT NOT NULL, 
    pointer NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_output PRIMARY KEY (task, epoch, position)
);

CREATE INDEX ix_output_run_stage ON output (run, stage);

CREATE TABLE run (
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    tenant NVARCHAR(63) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    request_key NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    pipeline NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    requester NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    failing NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NULL, 
    cancel_requested BIT NOT NULL, 
    tasks INTEGER NOT NULL, 
    open_tasks INTEGER NOT NULL, 
    submitted BIGINT NOT NULL, 
    ended BIGINT NULL, 
    deadline BIGINT NOT NULL, 
    traceparent NVARCHAR(55) COLLATE Latin1_General_100_BIN2 NULL, 
    request NVARCHAR(max) NOT NULL, 
    graph NVARCHAR(max) NOT NULL, 
    admitted NVARCHAR(max) NOT NULL, 
    lane_limits NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_run PRIMARY KEY (run), 
    CONSTRAINT uq_run_tenant_request_key UNIQUE (tenant, request_key)
);

CREATE INDEX ix_run_submitted ON run (submitted);

CREATE TABLE span (
    trace_id NVARCHAR(32) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    span_id NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    parent_id NVARCHAR(16) COLLATE Latin1_General_100_BIN2 NULL, 
    name NVARCHAR(max) NOT NULL, 
    kind NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    start_ns BIGINT NOT NULL, 
    end_ns BIGINT NOT NULL, 
    status NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    attributes NVARCHAR(max) NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    CONSTRAINT pk_span PRIMARY KEY (trace_id, span_id)
);

CREATE TABLE task (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    stage NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    partition NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    kind NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    version INTEGER NOT NULL, 
    lane NVARCHAR(50) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    payload NVARCHAR(max) NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    was NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NULL, 
    pending INTEGER NOT NULL, 
    attempt INTEGER NOT NULL, 
    max_attempts INTEGER NOT NULL, 
    epoch INTEGER NOT NULL, 
    token NVARCHAR(48) COLLATE Latin1_General_100_BIN2 NULL, 
    queued BIGINT NULL, 
    worker NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NULL, 
    lease_until BIGINT NULL, 
    started BIGINT NULL, 
    ended BIGINT NULL, 
    deadline BIGINT NOT NULL, 
    fault NVARCHAR(max) NULL, 
    CONSTRAINT pk_task PRIMARY KEY (task)
);

CREATE INDEX ix_task_leased ON task (lease_until) WHERE state = 'running';

CREATE INDEX ix_task_open ON task (deadline, lane, state, queued) WHERE state IN ('queued', 'running', 'retrying', 'held', 'parked');

CREATE INDEX ix_task_ready ON task (run, stage, partition) WHERE state = 'waiting' AND pending = 0;

CREATE INDEX ix_task_run_stage_state ON task (run, stage, state);

CREATE TABLE worker (
    worker NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    lanes NVARCHAR(max) NOT NULL, 
    facts NVARCHAR(max) NOT NULL, 
    first_seen BIGINT NOT NULL, 
    last_seen BIGINT NOT NULL, 
    gone BIT NOT NULL, 
    CONSTRAINT pk_worker PRIMARY KEY (worker)
);

INSERT INTO alembic_version (version_num) OUTPUT inserted.version_num VALUES ('0001');

-- Running upgrade 0001 -> 0002

ALTER TABLE task ADD fingerprint NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL;

CREATE INDEX ix_task_dead ON task (fingerprint, stage, task) WHERE state IN ('failed', 'dead', 'denied', 'parked');

ALTER TABLE dead_letter ADD fingerprint NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE dead_letter ADD kind NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE dead_letter ADD version INTEGER NULL;

ALTER TABLE dead_letter ADD taken_up BIGINT NULL;

ALTER TABLE dead_letter ADD became NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE event ADD facts NVARCHAR(max) NULL;

CREATE TABLE redrive_job (
    job NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reason NVARCHAR(max) NOT NULL, 
    selection NVARCHAR(max) NOT NULL, 
    per_second INTEGER NULL, 
    total INTEGER NOT NULL, 
    redriven INTEGER NOT NULL, 
    refused INTEGER NOT NULL, 
    asked BIGINT NOT NULL, 
    paced BIGINT NOT NULL, 
    ended BIGINT NULL, 
    ended_by NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NULL, 
    CONSTRAINT pk_redrive_job PRIMARY KEY (job)
);

CREATE INDEX ix_redrive_job_asked ON redrive_job (asked);

CREATE INDEX ix_redrive_job_open ON redrive_job (asked, job) WHERE state = 'running';

CREATE TABLE redrive_item (
    job NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    position BIGINT NOT NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    attempt INTEGER NULL, 
    queue NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NULL, 
    message_id NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL, 
    sequence_number BIGINT NULL, 
    fingerprint NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    became NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL, 
    at BIGINT NULL, 
    note NVARCHAR(max) NULL, 
    CONSTRAINT pk_redrive_item PRIMARY KEY (job, position)
);

CREATE INDEX ix_redrive_item_task ON redrive_item (task);

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

-- Running upgrade 0002 -> 0003

CREATE TABLE approval (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    digest NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reasons NVARCHAR(max) NOT NULL, 
    asked BIGINT NOT NULL, 
    expires BIGINT NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    CONSTRAINT pk_approval PRIMARY KEY (task, epoch)
);

CREATE INDEX ix_approval_open ON approval (expires) WHERE state = 'open';

CREATE TABLE vote (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    epoch INTEGER NOT NULL, 
    person NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    approves BIT NOT NULL, 
    comment NVARCHAR(max) NOT NULL, 
    at BIGINT NOT NULL, 
    CONSTRAINT pk_vote PRIMARY KEY (task, epoch, person)
);

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

-- Running upgrade 0003 -> 0004

ALTER TABLE run ADD counted_day NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE run ADD counted_tasks INTEGER NULL;

ALTER TABLE run ADD counted_us BIGINT NULL;

CREATE INDEX ix_run_counted ON run (tenant) WHERE state = 'running' AND counted_day IS NOT NULL;

CREATE INDEX ix_run_held ON run (tenant, submitted, run) WHERE state = 'held';

CREATE TABLE run_approval (
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    digest NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reasons NVARCHAR(max) NOT NULL, 
    asked BIGINT NOT NULL, 
    expires BIGINT NOT NULL, 
    state NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    CONSTRAINT pk_run_approval PRIMARY KEY (run)
);

CREATE INDEX ix_run_approval_open ON run_approval (expires) WHERE state = 'open';

CREATE TABLE tenant_use (
    tenant NVARCHAR(63) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    day NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    tasks INTEGER NOT NULL, 
    compute_us BIGINT NOT NULL, 
    CONSTRAINT pk_tenant_use PRIMARY KEY (tenant)
);

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

-- Running upgrade 0004 -> 0005

CREATE INDEX ix_run_state_submitted ON run (state, submitted);

CREATE INDEX ix_run_tenant_submitted ON run (tenant, submitted);

CREATE INDEX ix_run_pipeline_submitted ON run (pipeline, submitted);

CREATE INDEX ix_vote_at ON vote (at);

CREATE INDEX ix_task_ended ON task (ended, lane, state) WHERE ended IS NOT NULL;

CREATE INDEX ix_event_by_people ON event (at) WHERE facts IS NOT NULL;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';

-- Running upgrade 0005 -> 0006

ALTER TABLE outbox ADD digest NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL DEFAULT '';

ALTER TABLE task ADD promised NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE task ADD cancel_requested BIT NOT NULL DEFAULT 0;

UPDATE alembic_version SET version_num='0006' WHERE alembic_version.version_num = '0005';

-- Running upgrade 0006 -> 0007

CREATE TABLE archive (
    digest NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    at BIGINT NOT NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    runs INTEGER NOT NULL, 
    rows INTEGER NOT NULL, 
    first_ended BIGINT NOT NULL, 
    last_ended BIGINT NOT NULL, 
    pointer NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_archive PRIMARY KEY (digest)
);

CREATE INDEX ix_archive_at ON archive (at);

UPDATE alembic_version SET version_num='0007' WHERE alembic_version.version_num = '0006';

-- Running upgrade 0007 -> 0008

ALTER TABLE task ADD ahead INTEGER NULL;

CREATE INDEX ix_task_ahead ON task (lane, ahead, queued) WHERE state IN ('queued', 'retrying') AND ahead IS NOT NULL;

ALTER TABLE outbox ADD rank INTEGER NOT NULL DEFAULT '4';

ALTER TABLE outbox ADD again BIT NOT NULL DEFAULT 0;

DROP INDEX ix_outbox_due ON outbox;

CREATE INDEX ix_outbox_first ON outbox (rank, seq) WHERE relayed IS NULL;

CREATE TABLE pause (
    what NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    name NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reason NVARCHAR(max) NOT NULL, 
    at BIGINT NOT NULL, 
    CONSTRAINT pk_pause PRIMARY KEY (what, name)
);

CREATE TABLE audit (
    seq BIGINT NOT NULL IDENTITY, 
    at BIGINT NOT NULL, 
    what NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    name NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    action NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    reason NVARCHAR(max) NOT NULL, 
    facts NVARCHAR(max) NULL, 
    CONSTRAINT pk_audit PRIMARY KEY (seq)
);

CREATE INDEX ix_audit_what_name_seq ON audit (what, name, seq);

CREATE TABLE slot (
    [key] NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    attempt INTEGER NOT NULL, 
    epoch INTEGER NOT NULL, 
    CONSTRAINT pk_slot PRIMARY KEY ([key], task)
);

CREATE TABLE slot_key (
    [key] NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    running INTEGER NULL, 
    starts INTEGER NULL, 
    per INTEGER NOT NULL, 
    paced BIGINT NOT NULL, 
    turn BIGINT NOT NULL, 
    CONSTRAINT pk_slot_key PRIMARY KEY ([key])
);

CREATE TABLE put_off (
    task NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    attempt INTEGER NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    lane NVARCHAR(50) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    pipeline NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    tenant NVARCHAR(63) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    [key] NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    rank INTEGER NOT NULL, 
    turn BIGINT NOT NULL, 
    since BIGINT NOT NULL, 
    slots NVARCHAR(max) NOT NULL, 
    CONSTRAINT pk_put_off PRIMARY KEY (task)
);

CREATE INDEX ix_put_off_key_rank_turn_task ON put_off ([key], rank, turn, task);

UPDATE alembic_version SET version_num='0008' WHERE alembic_version.version_num = '0007';

-- Running upgrade 0008 -> 0009

CREATE TABLE schedule (
    name NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    spec NVARCHAR(max) NOT NULL, 
    paused BIT NOT NULL, 
    next_fire BIGINT NULL, 
    revision INTEGER NOT NULL, 
    changed BIGINT NOT NULL, 
    changed_by NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    CONSTRAINT pk_schedule PRIMARY KEY (name)
);

CREATE INDEX ix_schedule_next_fire ON schedule (next_fire);

CREATE TABLE fire (
    schedule NVARCHAR(60) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    at BIGINT NOT NULL, 
    outcome NVARCHAR(12) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    run NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NULL, 
    actor NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL, 
    detail NVARCHAR(max) NOT NULL, 
    noted BIGINT NOT NULL, 
    CONSTRAINT pk_fire PRIMARY KEY (schedule, at)
);

UPDATE alembic_version SET version_num='0009' WHERE alembic_version.version_num = '0008';

-- Running upgrade 0009 -> 0010

CREATE INDEX ix_audit_at ON audit (at);

CREATE INDEX ix_redrive_job_stopped ON redrive_job (ended) WHERE ended_by IS NOT NULL;

UPDATE alembic_version SET version_num='0010' WHERE alembic_version.version_num = '0009';

-- Running upgrade 0010 -> 0011

ALTER TABLE worker ADD drain_asked BIGINT NULL;

ALTER TABLE worker ADD drained_by NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE worker ADD drain_reason NVARCHAR(max) NULL;

CREATE INDEX ix_worker_drained ON worker (drain_asked) WHERE drain_asked IS NOT NULL;

UPDATE alembic_version SET version_num='0011' WHERE alembic_version.version_num = '0010';

-- Running upgrade 0011 -> 0012

ALTER TABLE span ADD within NVARCHAR(max) NULL;

UPDATE alembic_version SET version_num='0012' WHERE alembic_version.version_num = '0011';

-- Running upgrade 0012 -> 0013

UPDATE alembic_version SET version_num='0013' WHERE alembic_version.version_num = '0012';

