DELETE FROM outbox WHERE outbox.task = ?;

DELETE FROM outbox WHERE outbox.task IN (SELECT task.task 
FROM task 
WHERE task.run = ? AND task.state = ?);

DELETE FROM pause WHERE pause.what = ? AND pause.name = ?;

DELETE FROM put_off WHERE put_off.[key] IN (?) AND NOT (EXISTS (SELECT * 
FROM task 
WHERE put_off.task = task.task AND put_off.attempt = task.attempt AND (task.state = ? OR task.state = ?)));

DELETE FROM put_off WHERE put_off.task = ?;

DELETE FROM schedule WHERE schedule.name = ?;

DELETE FROM slot WHERE slot.task = ?;

INSERT INTO approval (task, epoch, digest, reasons, asked, expires, state) VALUES (?, ?, ?, ?, ?, ?, ?);

INSERT INTO audit (at, what, name, action, actor, reason, facts) OUTPUT inserted.seq VALUES (?, ?, ?, ?, ?, ?, ?);

INSERT INTO dead_letter (queue, message_id, sequence_number, task, disposition, reason, description, size, at, fingerprint, kind, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO event (at, run, task, actor, old, new, detail) SELECT ? AS anon_1, task.run, task.task, ? AS anon_2, task.state, ? AS anon_3, ? AS anon_4 
FROM task 
WHERE task.run = ? AND task.state IN (?);

INSERT INTO event (at, run, task, actor, old, new, detail) SELECT ? AS anon_1, task.run, task.task, ? AS anon_2, task.state, ? AS anon_3, ? AS anon_4 
FROM task 
WHERE task.run IN (?) AND task.state = ? AND task.epoch = ?;

INSERT INTO event (seq, at, run, actor, new, detail) VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO fire (schedule, at, outcome, run, actor, detail, noted) VALUES (?, ?, ?, ?, ?, ?, ?);

INSERT INTO pause (what, name, actor, reason, at) VALUES (?, ?, ?, ?, ?);

INSERT INTO put_off (task, attempt, run, lane, pipeline, tenant, [key], rank, turn, since, slots) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO redrive_item (job, position, queue, sequence_number, state, became, at, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO redrive_item (job, position, task, attempt, fingerprint, state) SELECT ? AS anon_1, row_number() OVER (ORDER BY coalesce(task.ended, task.queued, task.deadline), task.task) - ? AS anon_2, task.task, task.attempt, task.fingerprint, ? AS anon_3 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1));

INSERT INTO redrive_item (job, position, task, attempt, fingerprint, state) SELECT ? AS anon_1, row_number() OVER (ORDER BY coalesce(task.ended, task.queued, task.deadline), task.task) - ? AS anon_2, task.task, task.attempt, task.fingerprint, ? AS anon_3 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1)) AND task.fingerprint = ?;

INSERT INTO redrive_item (job, position, task, attempt, fingerprint, state) VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO redrive_job (job, state, actor, reason, selection, per_second, total, redriven, refused, asked, paced, ended) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO redrive_job (job, state, actor, reason, selection, per_second, total, redriven, refused, asked, paced, ended, ended_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO run (run, tenant, request_key, pipeline, requester, state, cancel_requested, tasks, open_tasks, submitted, ended, deadline, traceparent, request, graph, admitted, lane_limits) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO run (run, tenant, request_key, pipeline, requester, state, cancel_requested, tasks, open_tasks, submitted, ended, deadline, traceparent, request, graph, admitted, lane_limits, counted_day, counted_tasks, counted_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO run_approval (run, digest, reasons, asked, expires, state) VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO schedule (name, spec, paused, next_fire, revision, changed, changed_by) VALUES (?, ?, ?, ?, ?, ?, ?);

INSERT INTO slot ([key], task, attempt, epoch) VALUES (?, ?, ?, ?);

INSERT INTO slot_key ([key], running, starts, per, paced, turn) VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO tenant_use (tenant, day, tasks, compute_us) VALUES (?, ?, ?, ?);

INSERT INTO vote (task, epoch, person, approves, comment, at) VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO worker (worker, lanes, facts, first_seen, last_seen, gone) VALUES (?, ?, ?, ?, ?, ?);

SELECT DISTINCT TOP ? task.run 
FROM task 
WHERE task.state = 'waiting' AND task.pending = 0 ORDER BY task.run;

SELECT DISTINCT put_off.[key] 
FROM put_off JOIN task ON put_off.task = task.task AND put_off.attempt = task.attempt AND (task.state = ? OR task.state = ?) 
WHERE put_off.[key] IN (?);

SELECT DISTINCT run.tenant 
FROM run 
WHERE run.state = 'held' ORDER BY run.tenant;

SELECT DISTINCT task.lane 
FROM task 
WHERE task.state = 'running';

SELECT DISTINCT task.lane 
FROM task 
WHERE task.state IN ('queued', 'retrying') AND task.ahead IS NOT NULL AND task.queued <= ? AND NOT (EXISTS (SELECT * 
FROM put_off 
WHERE put_off.task = task.task));

SELECT DISTINCT task.lane, task.kind, task.version 
FROM task 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') AND task.state = ? ORDER BY task.lane, task.kind, task.version;

SELECT DISTINCT task.run 
FROM task 
WHERE task.task IN (?);

SELECT DISTINCT task.run, task.state 
FROM task 
WHERE task.run IN (?) AND task.state IN (?);

SELECT DISTINCT vote.person 
FROM vote JOIN approval ON approval.task = vote.task AND approval.epoch = vote.epoch 
WHERE vote.task = ? AND approval.digest = ? AND approval.state = ? ORDER BY vote.person;

SELECT TOP ? approval.task, approval.epoch, task.run, task.stage, task.partition, task.kind, task.lane, run.tenant, run.pipeline, run.requester, approval.digest, approval.reasons, approval.asked, approval.expires 
FROM approval JOIN task ON task.task = approval.task JOIN run ON run.run = task.run 
WHERE approval.state = ? AND task.state = ? AND task.epoch = approval.epoch ORDER BY approval.expires, approval.task;

SELECT TOP ? archive.at, archive.digest, archive.actor, archive.runs, archive.rows, archive.last_ended 
FROM archive 
WHERE archive.at < ? ORDER BY archive.at DESC;

SELECT TOP ? archive.at, archive.digest, archive.actor, archive.runs, archive.rows, archive.last_ended 
FROM archive ORDER BY archive.at DESC;

SELECT TOP ? attempt.task, attempt.epoch, attempt.number, attempt.worker, attempt.state, attempt.started, attempt.ended, attempt.fault, attempt.facts, attempt.traceparent, attempt.reused_from, task.stage, task.partition 
FROM attempt JOIN task ON task.task = attempt.task 
WHERE task.run = ? ORDER BY attempt.started, attempt.task, attempt.epoch;

SELECT TOP ? audit.at, audit.what, audit.name, audit.action, audit.actor, audit.reason, audit.facts 
FROM audit 
WHERE audit.what != ? AND audit.at < ? ORDER BY audit.at DESC;

SELECT TOP ? audit.at, audit.what, audit.name, audit.action, audit.actor, audit.reason, audit.facts 
FROM audit 
WHERE audit.what != ? ORDER BY audit.at DESC;

SELECT TOP ? audit.seq, audit.at, audit.what, audit.name, audit.action, audit.actor, audit.reason, audit.facts 
FROM audit 
WHERE audit.what = ? AND audit.name = ? ORDER BY audit.seq DESC;

SELECT TOP ? dead_letter.queue, dead_letter.message_id, dead_letter.sequence_number, dead_letter.task, dead_letter.disposition, dead_letter.reason, dead_letter.description, dead_letter.size, dead_letter.at, dead_letter.fingerprint, dead_letter.kind, dead_letter.version, dead_letter.taken_up, dead_letter.became, task.run 
FROM dead_letter LEFT OUTER JOIN task ON task.task = dead_letter.task 
WHERE dead_letter.taken_up IS NULL ORDER BY dead_letter.at DESC, dead_letter.queue, dead_letter.sequence_number DESC;

SELECT TOP ? dead_letter.queue, dead_letter.sequence_number, dead_letter.message_id, dead_letter.disposition, dead_letter.reason, dead_letter.description, dead_letter.size, dead_letter.at, dead_letter.kind, dead_letter.version 
FROM dead_letter 
WHERE dead_letter.fingerprint = ? AND dead_letter.taken_up IS NULL ORDER BY dead_letter.at DESC, dead_letter.queue, dead_letter.sequence_number;

SELECT TOP ? decision.task, decision.decision 
FROM decision ORDER BY decision.recorded DESC, decision.task, decision.epoch, decision.position;

SELECT TOP ? event.at, event.run, event.task, event.actor, event.detail, event.facts 
FROM event 
WHERE event.facts IS NOT NULL AND event.facts NOT LIKE ? AND event.at < ? ORDER BY event.at DESC;

SELECT TOP ? event.at, event.run, event.task, event.actor, event.detail, event.facts 
FROM event 
WHERE event.facts IS NOT NULL AND event.facts NOT LIKE ? ORDER BY event.at DESC;

SELECT TOP ? event.seq, event.run, event.task 
FROM event 
WHERE event.seq > ? ORDER BY event.seq DESC;

SELECT TOP ? fire.schedule, fire.at, fire.outcome, fire.run, fire.actor, fire.detail, fire.noted, run.state 
FROM fire LEFT OUTER JOIN run ON run.run = fire.run 
WHERE fire.schedule = ? ORDER BY fire.at DESC;

SELECT TOP ? input.task, task.stage, task.partition, input.pointer 
FROM input JOIN task ON task.task = input.task AND task.epoch = input.epoch 
WHERE task.run = ? ORDER BY input.task, input.position;

SELECT TOP ? output.run, output.stage, output.task, output.epoch, output.position, output.partition, output.recorded, output.pointer 
FROM output 
WHERE output.run = ? ORDER BY output.run DESC, output.stage DESC, output.task DESC, output.epoch DESC, output.position DESC;

SELECT TOP ? output.run, output.stage, output.task, output.epoch, output.position, output.partition, output.recorded, output.pointer 
FROM output ORDER BY output.run DESC, output.stage DESC, output.task DESC, output.epoch DESC, output.position DESC;

SELECT TOP ? output.task, output.epoch, output.position, output.run, output.stage, output.partition, output.produced, output.name, output.recorded, output.pointer 
FROM output 
WHERE output.task = ? ORDER BY output.epoch, output.position;

SELECT TOP ? pause.name 
FROM pause 
WHERE pause.what IN (?);

SELECT TOP ? redrive_item.job, redrive_item.position, redrive_item.task, redrive_item.attempt, redrive_item.queue, redrive_item.message_id, redrive_item.sequence_number, redrive_item.fingerprint, redrive_item.state, redrive_item.became, redrive_item.at, redrive_item.note 
FROM redrive_item 
WHERE redrive_item.job = ? AND redrive_item.position >= ? ORDER BY redrive_item.position;

SELECT TOP ? redrive_job.asked, redrive_job.job, redrive_job.actor, redrive_job.reason, redrive_job.selection, redrive_job.total 
FROM redrive_job 
WHERE redrive_job.asked < ? ORDER BY redrive_job.asked DESC;

SELECT TOP ? redrive_job.asked, redrive_job.job, redrive_job.actor, redrive_job.reason, redrive_job.selection, redrive_job.total 
FROM redrive_job ORDER BY redrive_job.asked DESC;

SELECT TOP ? redrive_job.ended, redrive_job.job, redrive_job.ended_by, redrive_job.total, redrive_job.redriven, redrive_job.refused, audit.reason 
FROM redrive_job LEFT OUTER JOIN audit ON audit.what = ? AND audit.name = redrive_job.job 
WHERE redrive_job.ended_by IS NOT NULL AND redrive_job.ended < ? ORDER BY redrive_job.ended DESC;

SELECT TOP ? redrive_job.ended, redrive_job.job, redrive_job.ended_by, redrive_job.total, redrive_job.redriven, redrive_job.refused, audit.reason 
FROM redrive_job LEFT OUTER JOIN audit ON audit.what = ? AND audit.name = redrive_job.job 
WHERE redrive_job.ended_by IS NOT NULL ORDER BY redrive_job.ended DESC;

SELECT TOP ? redrive_job.job 
FROM redrive_job 
WHERE redrive_job.job >= ? AND redrive_job.job < ? ORDER BY redrive_job.job;

SELECT TOP ? redrive_job.job 
FROM redrive_job 
WHERE redrive_job.state = 'running' ORDER BY redrive_job.paced, redrive_job.job;

SELECT TOP ? redrive_job.job, redrive_job.state, redrive_job.actor, redrive_job.reason, redrive_job.selection, redrive_job.per_second, redrive_job.total, redrive_job.redriven, redrive_job.refused, redrive_job.asked, redrive_job.paced, redrive_job.ended, redrive_job.ended_by 
FROM redrive_job ORDER BY redrive_job.asked DESC, redrive_job.job DESC;

SELECT TOP ? run.admitted 
FROM run 
WHERE run.tenant = ? AND run.state = 'held' ORDER BY run.submitted, run.run;

SELECT TOP ? run.run 
FROM run 
WHERE run.run >= ? AND run.run < ? ORDER BY run.run;

SELECT TOP ? run.run, run.admitted 
FROM run ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.pipeline = ? AND run.state = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.pipeline = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.state = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.submitted < ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.submitted <= ? AND (run.submitted < ? OR run.submitted = ? AND run.run < ?) ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.submitted >= ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.tenant = ? AND run.pipeline = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run 
WHERE run.tenant IN (?) ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.pipeline, run.tenant, run.requester, run.state, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline 
FROM run ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.request 
FROM run 
WHERE run.tenant = ? AND run.pipeline = ? AND run.submitted <= ? AND run.run != ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run.pipeline, run.requester, run_approval.digest, run_approval.reasons, run_approval.asked, run_approval.expires 
FROM run_approval JOIN run ON run.run = run_approval.run 
WHERE run_approval.state = 'open' AND run.state = 'held' ORDER BY run_approval.expires, run_approval.run;

SELECT TOP ? run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run 
WHERE run.pipeline = ? AND run.tenant = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run 
WHERE run.state = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run 
WHERE run.tenant = ? ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run 
WHERE run.tenant IN (?) ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run ORDER BY run.submitted DESC, run.run DESC;

SELECT TOP ? run.run, run.tenant, run_approval.state AS approval 
FROM run LEFT OUTER JOIN run_approval ON run_approval.run = run.run 
WHERE run.state = 'held' AND run.tenant = ? ORDER BY run.submitted, run.run;

SELECT TOP ? run.submitted, run.run, run.requester, run.pipeline, run.tenant 
FROM run 
WHERE run.submitted < ? ORDER BY run.submitted DESC;

SELECT TOP ? run.submitted, run.run, run.requester, run.pipeline, run.tenant 
FROM run ORDER BY run.submitted DESC;

SELECT TOP ? schedule.name, schedule.spec, schedule.paused, schedule.next_fire, schedule.revision, schedule.changed, schedule.changed_by 
FROM schedule 
WHERE schedule.paused = 0 AND schedule.next_fire <= ? ORDER BY schedule.next_fire, schedule.name;

SELECT TOP ? span.span_id, span.parent_id, span.name, span.start_ns, span.end_ns, span.status, span.task, span.within 
FROM span 
WHERE span.trace_id = ? AND span.run = ? ORDER BY span.start_ns, span.span_id;

SELECT TOP ? stretch.run, stretch.pipeline, stretch.tenant, stretch.requester, stretch.state, stretch.tasks, stretch.open_tasks, stretch.submitted, stretch.ended, stretch.deadline, stretch.request 
FROM (SELECT TOP ? run.run AS run, run.pipeline AS pipeline, run.tenant AS tenant, run.requester AS requester, run.state AS state, run.tasks AS tasks, run.open_tasks AS open_tasks, run.submitted AS submitted, run.ended AS ended, run.deadline AS deadline, run.request AS request 
FROM run 
WHERE run.submitted <= ? AND (run.submitted < ? OR run.submitted = ? AND run.run < ?) ORDER BY run.submitted DESC, run.run DESC) AS stretch 
WHERE stretch.run LIKE ? ESCAPE '!' OR stretch.request LIKE ? ESCAPE '!' ORDER BY stretch.submitted DESC, stretch.run DESC;

SELECT TOP ? stretch.run, stretch.pipeline, stretch.tenant, stretch.requester, stretch.state, stretch.tasks, stretch.open_tasks, stretch.submitted, stretch.ended, stretch.deadline, stretch.request 
FROM (SELECT TOP ? run.run AS run, run.pipeline AS pipeline, run.tenant AS tenant, run.requester AS requester, run.state AS state, run.tasks AS tasks, run.open_tasks AS open_tasks, run.submitted AS submitted, run.ended AS ended, run.deadline AS deadline, run.request AS request 
FROM run ORDER BY run.submitted DESC, run.run DESC) AS stretch 
WHERE stretch.run LIKE ? ESCAPE '!' OR stretch.request LIKE ? ESCAPE '!' ORDER BY stretch.submitted DESC, stretch.run DESC;

SELECT TOP ? task.task 
FROM task 
WHERE task.task >= ? AND task.task < ? ORDER BY task.task;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline 
FROM task 
WHERE task.run IN (?) AND task.state = 'waiting' AND task.pending = 0 ORDER BY task.run, task.stage, task.partition;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.run = ? AND (task.stage > ? OR task.stage = ? AND task.partition > ?) ORDER BY task.stage, task.partition;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.run = ? AND task.stage = ? ORDER BY task.stage, task.partition;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.run = ? AND task.state = ? ORDER BY task.stage, task.partition;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.run = ? ORDER BY task.stage, task.partition;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.state = 'running' ORDER BY task.worker, task.started, task.task;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND task.fingerprint = ? ORDER BY task.stage, task.task;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.state, task.fault, attempt.ended AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') AND task.state = ? ORDER BY attempt.ended DESC, task.task DESC;

SELECT TOP ? task.task, task.run, task.stage, task.partition, task.state, task.fault, task.ended AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN (?) ORDER BY task.ended DESC, task.task DESC;

SELECT TOP ? vote.at, vote.task, vote.person, vote.approves, vote.comment, task.run 
FROM vote LEFT OUTER JOIN task ON task.task = vote.task 
WHERE vote.at < ? ORDER BY vote.at DESC;

SELECT TOP ? vote.at, vote.task, vote.person, vote.approves, vote.comment, task.run 
FROM vote LEFT OUTER JOIN task ON task.task = vote.task ORDER BY vote.at DESC;

SELECT TOP ? worker.drain_asked, worker.worker, worker.drained_by, worker.drain_reason 
FROM worker 
WHERE worker.drain_asked IS NOT NULL AND worker.drain_asked < ? ORDER BY worker.drain_asked DESC;

SELECT TOP ? worker.drain_asked, worker.worker, worker.drained_by, worker.drain_reason 
FROM worker 
WHERE worker.drain_asked IS NOT NULL ORDER BY worker.drain_asked DESC;

SELECT TOP ? worker.worker 
FROM worker 
WHERE worker.worker >= ? AND worker.worker < ? ORDER BY worker.worker;

SELECT anon_1.fingerprint, anon_1.id, anon_1.sequence_number, anon_1.place, anon_1.turn 
FROM (SELECT dead.fingerprint AS fingerprint, dead.id AS id, dead.sequence_number AS sequence_number, dead.place AS place, row_number() OVER (PARTITION BY dead.fingerprint ORDER BY dead.at DESC, dead.id DESC, dead.sequence_number DESC, dead.place DESC) AS turn 
FROM (SELECT coalesce(dead_letter.fingerprint, ?) AS fingerprint, dead_letter.queue AS place, dead_letter.message_id AS id, dead_letter.sequence_number AS sequence_number, dead_letter.at AS at 
FROM dead_letter 
WHERE dead_letter.taken_up IS NULL) AS dead 
WHERE dead.fingerprint = ?) AS anon_1 
WHERE anon_1.turn = ?;

SELECT anon_1.fingerprint, anon_1.id, anon_1.sequence_number, anon_1.place, anon_1.turn 
FROM (SELECT dead.fingerprint AS fingerprint, dead.id AS id, dead.sequence_number AS sequence_number, dead.place AS place, row_number() OVER (PARTITION BY dead.fingerprint ORDER BY dead.at DESC, dead.id DESC, dead.sequence_number DESC, dead.place DESC) AS turn 
FROM (SELECT coalesce(dead_letter.fingerprint, ?) AS fingerprint, dead_letter.queue AS place, dead_letter.message_id AS id, dead_letter.sequence_number AS sequence_number, dead_letter.at AS at 
FROM dead_letter 
WHERE dead_letter.taken_up IS NULL) AS dead) AS anon_1 
WHERE anon_1.turn = ?;

SELECT anon_1.fingerprint, anon_1.id, anon_1.turn 
FROM (SELECT dead.fingerprint AS fingerprint, dead.id AS id, row_number() OVER (PARTITION BY dead.fingerprint ORDER BY dead.at DESC, dead.id DESC) AS turn 
FROM (SELECT coalesce(task.fingerprint, ?) AS fingerprint, task.stage AS place, task.task AS id, coalesce(task.ended, attempt.ended, task.queued, task.deadline) AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1))) AS dead 
WHERE dead.fingerprint = ?) AS anon_1 
WHERE anon_1.turn = ?;

SELECT anon_1.fingerprint, anon_1.id, anon_1.turn 
FROM (SELECT dead.fingerprint AS fingerprint, dead.id AS id, row_number() OVER (PARTITION BY dead.fingerprint ORDER BY dead.at DESC, dead.id DESC) AS turn 
FROM (SELECT coalesce(task.fingerprint, ?) AS fingerprint, task.stage AS place, task.task AS id, coalesce(task.ended, attempt.ended, task.queued, task.deadline) AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1))) AS dead) AS anon_1 
WHERE anon_1.turn = ?;

SELECT anon_1.task, anon_1.run, anon_1.stage, anon_1.partition, anon_1.kind, anon_1.version, anon_1.lane, anon_1.payload, anon_1.attempt, anon_1.deadline, anon_1.state, anon_1.epoch, anon_1.pipeline, anon_1.[key], anon_1.rank, anon_1.turn, anon_1.slots, anon_1.place 
FROM (SELECT task.task AS task, task.run AS run, task.stage AS stage, task.partition AS partition, task.kind AS kind, task.version AS version, task.lane AS lane, task.payload AS payload, task.attempt AS attempt, task.deadline AS deadline, task.state AS state, task.epoch AS epoch, put_off.pipeline AS pipeline, put_off.[key] AS [key], put_off.rank AS rank, put_off.turn AS turn, put_off.slots AS slots, row_number() OVER (PARTITION BY put_off.[key] ORDER BY put_off.rank, put_off.turn, put_off.task) AS place 
FROM put_off JOIN task ON put_off.task = task.task AND put_off.attempt = task.attempt AND (task.state = ? OR task.state = ?) 
WHERE put_off.[key] IN (?)) AS anon_1 
WHERE anon_1.place <= ? ORDER BY anon_1.place, anon_1.rank, anon_1.turn, anon_1.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT approval.task, approval.epoch 
FROM approval 
WHERE approval.state = 'open' AND approval.expires < ? ORDER BY approval.expires, approval.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT attempt.task, attempt.epoch, attempt.number, attempt.worker, attempt.state, attempt.started, attempt.ended, attempt.fault, attempt.facts, attempt.traceparent, attempt.reused_from 
FROM attempt 
WHERE attempt.task = ? ORDER BY attempt.epoch;

SELECT coalesce(task.fingerprint, ?) AS coalesce_1, count(*) AS count_1 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1)) AND task.fingerprint = ? GROUP BY task.fingerprint;

SELECT coalesce(task.fingerprint, ?) AS coalesce_1, count(*) AS count_1 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1)) AND task.task IN (?) GROUP BY task.fingerprint;

SELECT coalesce(task.fingerprint, ?) AS coalesce_1, count(*) AS count_1 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1)) GROUP BY task.fingerprint;

SELECT count(*) AS count_1 
FROM run 
WHERE run.state = ?;

SELECT count(*) AS count_1 
FROM run 
WHERE run.state IN (?) AND run.submitted > ?;

SELECT count(*) AS count_1 
FROM run 
WHERE run.tenant = ? AND run.state = 'running' AND run.counted_day IS NOT NULL;

SELECT count(*) AS count_1, count(DISTINCT event.task) AS count_2 
FROM event 
WHERE event.old = ? AND event.new = ?;

SELECT count(*) AS count_1, min(approval.expires) AS min_1 
FROM approval 
WHERE approval.state = 'open';

SELECT dead_letter.message_id 
FROM dead_letter 
WHERE dead_letter.queue = ? AND dead_letter.message_id = ? AND dead_letter.sequence_number = ?;

SELECT dead_letter.queue, count(*) AS count_1 
FROM dead_letter 
WHERE dead_letter.taken_up IS NULL AND dead_letter.disposition = ? GROUP BY dead_letter.queue;

SELECT dead_letter.queue, dead_letter.message_id, dead_letter.sequence_number, dead_letter.disposition, dead_letter.kind, dead_letter.version 
FROM dead_letter 
WHERE dead_letter.disposition = ? AND dead_letter.taken_up IS NULL AND dead_letter.kind IS NOT NULL ORDER BY dead_letter.queue, dead_letter.sequence_number, dead_letter.message_id;

SELECT dead_letter.queue, dead_letter.message_id, dead_letter.sequence_number, dead_letter.disposition, dead_letter.kind, dead_letter.version 
FROM dead_letter 
WHERE dead_letter.queue = ? AND dead_letter.sequence_number = ? AND dead_letter.taken_up IS NULL ORDER BY dead_letter.message_id;

SELECT dead_letter.queue, dead_letter.message_id, dead_letter.sequence_number, dead_letter.reason, dead_letter.description 
FROM dead_letter 
WHERE dead_letter.fingerprint IS NULL ORDER BY dead_letter.queue, dead_letter.message_id, dead_letter.sequence_number
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT dead_letter.queue, dead_letter.sequence_number, dead_letter.message_id, dead_letter.disposition, dead_letter.reason, dead_letter.description, dead_letter.size, dead_letter.at, dead_letter.kind, dead_letter.version 
FROM dead_letter 
WHERE dead_letter.queue = ? AND dead_letter.sequence_number = ? AND dead_letter.taken_up IS NULL;

SELECT dead_letter.reason, dead_letter.description 
FROM dead_letter 
WHERE dead_letter.queue = ? AND dead_letter.message_id = ? AND dead_letter.sequence_number = ?;

SELECT decision.task, decision.epoch, decision.position, decision.recorded, decision.decision 
FROM decision 
WHERE decision.task = ? ORDER BY decision.epoch, decision.position;

SELECT event.seq 
FROM event 
WHERE event.seq > ?;

SELECT event.seq, event.at, event.run, event.task, event.actor, event.old, event.new, event.detail, event.facts 
FROM event 
WHERE event.run = ? AND event.task IS NULL OR event.task IN (SELECT task.task 
FROM task 
WHERE task.run = ?) ORDER BY event.seq;

SELECT event.seq, event.at, event.run, event.task, event.actor, event.old, event.new, event.detail, event.facts 
FROM event 
WHERE event.task = ? ORDER BY event.seq;

SELECT fire.at 
FROM fire 
WHERE fire.schedule = ? AND fire.at = ?;

SELECT hourly.fingerprint, hourly.place, hourly.hour, count(*) AS dead, min(hourly.at) AS first, max(hourly.at) AS last 
FROM (SELECT dead.fingerprint AS fingerprint, dead.place AS place, dead.at AS at, CASE WHEN (dead.at > ?) THEN dead.at / ? ELSE NULL END AS hour 
FROM (SELECT coalesce(dead_letter.fingerprint, ?) AS fingerprint, dead_letter.queue AS place, dead_letter.message_id AS id, dead_letter.sequence_number AS sequence_number, dead_letter.at AS at 
FROM dead_letter 
WHERE dead_letter.taken_up IS NULL) AS dead 
WHERE dead.fingerprint = ?) AS hourly GROUP BY hourly.fingerprint, hourly.place, hourly.hour;

SELECT hourly.fingerprint, hourly.place, hourly.hour, count(*) AS dead, min(hourly.at) AS first, max(hourly.at) AS last 
FROM (SELECT dead.fingerprint AS fingerprint, dead.place AS place, dead.at AS at, CASE WHEN (dead.at > ?) THEN dead.at / ? ELSE NULL END AS hour 
FROM (SELECT coalesce(dead_letter.fingerprint, ?) AS fingerprint, dead_letter.queue AS place, dead_letter.message_id AS id, dead_letter.sequence_number AS sequence_number, dead_letter.at AS at 
FROM dead_letter 
WHERE dead_letter.taken_up IS NULL) AS dead) AS hourly GROUP BY hourly.fingerprint, hourly.place, hourly.hour;

SELECT hourly.fingerprint, hourly.place, hourly.hour, count(*) AS dead, min(hourly.at) AS first, max(hourly.at) AS last 
FROM (SELECT dead.fingerprint AS fingerprint, dead.place AS place, dead.at AS at, CASE WHEN (dead.at > ?) THEN dead.at / ? ELSE NULL END AS hour 
FROM (SELECT coalesce(task.fingerprint, ?) AS fingerprint, task.stage AS place, task.task AS id, coalesce(task.ended, attempt.ended, task.queued, task.deadline) AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1))) AS dead 
WHERE dead.fingerprint = ?) AS hourly GROUP BY hourly.fingerprint, hourly.place, hourly.hour;

SELECT hourly.fingerprint, hourly.place, hourly.hour, count(*) AS dead, min(hourly.at) AS first, max(hourly.at) AS last 
FROM (SELECT dead.fingerprint AS fingerprint, dead.place AS place, dead.at AS at, CASE WHEN (dead.at > ?) THEN dead.at / ? ELSE NULL END AS hour 
FROM (SELECT coalesce(task.fingerprint, ?) AS fingerprint, task.stage AS place, task.task AS id, coalesce(task.ended, attempt.ended, task.queued, task.deadline) AS at 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND NOT (EXISTS (SELECT * 
FROM run 
WHERE run.run = task.run AND run.cancel_requested = 1))) AS dead) AS hourly GROUP BY hourly.fingerprint, hourly.place, hourly.hour;

SELECT input.pointer 
FROM input 
WHERE input.task = ? AND input.epoch = (SELECT max(input.epoch) AS max_1 
FROM input 
WHERE input.task = ?) ORDER BY input.position;

SELECT max(event.seq) AS max_1 
FROM event;

SELECT min(run.pipeline) AS min_1 
FROM run;

SELECT min(run.pipeline) AS min_1 
FROM run 
WHERE run.pipeline > ?;

SELECT min(run.tenant) AS min_1 
FROM run;

SELECT min(run.tenant) AS min_1 
FROM run 
WHERE run.tenant > ?;

SELECT outbox.envelope 
FROM outbox JOIN task ON task.task = outbox.task AND task.attempt = outbox.attempt 
WHERE task.state IN ('queued', 'retrying') AND task.ahead IS NOT NULL AND task.lane = ? AND task.queued <= ? AND NOT (EXISTS (SELECT * 
FROM put_off 
WHERE put_off.task = task.task)) AND NOT (EXISTS (SELECT pause.name 
FROM pause 
WHERE pause.what = ? AND pause.name = task.lane OR pause.what = ? AND pause.name = (SELECT run.pipeline 
FROM run 
WHERE run.run = task.run))) ORDER BY task.ahead, task.queued, task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT outbox.seq, outbox.queue, outbox.run, outbox.envelope, outbox.not_before, outbox.again 
FROM outbox 
WHERE outbox.relayed IS NULL AND outbox.promised < ? AND NOT (EXISTS (SELECT pause.name 
FROM pause 
WHERE pause.what = ? AND outbox.queue = (? + pause.name) OR pause.what = ? AND pause.name = (SELECT run.pipeline 
FROM run 
WHERE run.run = outbox.run))) AND outbox.run = ? ORDER BY outbox.rank, outbox.seq
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT outbox.seq, outbox.queue, outbox.run, outbox.envelope, outbox.not_before, outbox.again 
FROM outbox 
WHERE outbox.relayed IS NULL AND outbox.promised < ? AND NOT (EXISTS (SELECT pause.name 
FROM pause 
WHERE pause.what = ? AND outbox.queue = (? + pause.name) OR pause.what = ? AND pause.name = (SELECT run.pipeline 
FROM run 
WHERE run.run = outbox.run))) ORDER BY outbox.rank, outbox.seq
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT outbox.seq, outbox.task, outbox.attempt 
FROM outbox 
WHERE outbox.task IN (?);

SELECT output.partition, output.name, output.pointer 
FROM output 
WHERE output.run = ? AND output.stage = ? AND output.produced = 1 ORDER BY output.stage
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT output.pointer 
FROM output 
WHERE output.run = ? AND output.stage = ? AND output.produced = 1 ORDER BY output.partition, output.name;

SELECT output.pointer 
FROM output 
WHERE output.task = ? AND output.epoch = (SELECT max(output.epoch) AS max_1 
FROM output 
WHERE output.task = ?) ORDER BY output.position;

SELECT output.task, output.epoch, output.position, output.run, output.stage, output.partition, output.produced, output.name, output.recorded, output.pointer 
FROM output 
WHERE output.task = ? AND output.epoch = ? AND output.position = ?;

SELECT output.task, output.partition, output.name, output.pointer 
FROM output 
WHERE output.task IN (?) AND output.produced = 1;

SELECT output.task, output.stage, output.partition, output.epoch, output.recorded, output.pointer 
FROM output 
WHERE output.run = ? ORDER BY output.stage, output.partition, output.epoch, output.name, output.position;

SELECT pause.name 
FROM pause 
WHERE pause.what = ? AND pause.name = ?;

SELECT pause.what, pause.name 
FROM pause;

SELECT pause.what, pause.name, pause.actor, pause.reason, pause.at 
FROM pause ORDER BY pause.at DESC, pause.what, pause.name;

SELECT put_off.[key], count(*) AS tasks 
FROM put_off 
WHERE (put_off.[key] LIKE ? + '%' ESCAPE '/') GROUP BY put_off.[key];

SELECT put_off.[key], count(*) AS waiting 
FROM put_off GROUP BY put_off.[key] ORDER BY put_off.[key];

SELECT put_off.[key], put_off.tenant, max(put_off.turn) AS turn 
FROM put_off 
WHERE put_off.[key] IN (?) GROUP BY put_off.[key], put_off.tenant;

SELECT put_off.lane, count(*) AS tasks 
FROM put_off 
WHERE EXISTS (SELECT task.task 
FROM task 
WHERE put_off.task = task.task AND put_off.attempt = task.attempt AND (task.state = ? OR task.state = ?)) GROUP BY put_off.lane;

SELECT redrive_item.position, redrive_item.task, redrive_item.attempt 
FROM redrive_item 
WHERE redrive_item.job = ? AND redrive_item.position >= ? ORDER BY redrive_item.position
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT redrive_job.job 
FROM redrive_job 
WHERE redrive_job.state = 'running' ORDER BY redrive_job.paced, redrive_job.job;

SELECT redrive_job.job, redrive_job.state, redrive_job.actor, redrive_job.reason, redrive_job.selection, redrive_job.per_second, redrive_job.total, redrive_job.redriven, redrive_job.refused, redrive_job.asked, redrive_job.paced, redrive_job.ended, redrive_job.ended_by 
FROM redrive_job 
WHERE redrive_job.job = ?;

SELECT run.admitted, run.submitted 
FROM run 
WHERE run.run = ?;

SELECT run.graph 
FROM run 
WHERE run.run = ?;

SELECT run.pipeline, run.tenant, run.submitted, run.request 
FROM run 
WHERE run.run = ?;

SELECT run.request, run.graph, run.admitted 
FROM run 
WHERE run.run = ? AND run.state = 'held';

SELECT run.run, run.request, run.graph, run.admitted, run.traceparent, run.lane_limits AS lane_limits 
FROM run 
WHERE run.run IN (?);

SELECT run.run, run.state AS run_state, run.failing, run.cancel_requested AS run_cancelled, run.tasks, run.open_tasks, run.deadline AS run_deadline, run.counted_day 
FROM run 
WHERE run.run IN (?);

SELECT run.run, run.state, run.failing, run.open_tasks, run.cancel_requested, run.submitted, run.deadline 
FROM run 
WHERE run.run IN (?);

SELECT run.run, run.state, run.submitted, run.request_key 
FROM run 
WHERE run.tenant = ? AND run.request_key IN (?);

SELECT run.run, run.state, run_approval.state AS approval 
FROM run JOIN run_approval ON run_approval.run = run.run 
WHERE run.state = 'held' AND run_approval.expires < ? ORDER BY run_approval.expires, run_approval.run
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT run.run, run.tenant, run.request_key, run.pipeline, run.requester, run.state, run.failing, run.cancel_requested, run.tasks, run.open_tasks, run.submitted, run.ended, run.deadline, run.traceparent, run.request, run.graph, run.admitted, run.lane_limits, run.counted_day, run.counted_tasks, run.counted_us 
FROM run 
WHERE run.run = ?;

SELECT run.run, run.tenant, run.requester, run.state, run.graph, run.deadline, run.traceparent, run_approval.digest, run_approval.expires, run_approval.state AS approval 
FROM run JOIN run_approval ON run_approval.run = run.run 
WHERE run.run = ?;

SELECT run.run, run.tenant, run.tasks, run.counted_day, run.counted_tasks, run.counted_us, (SELECT sum(attempt.ended - attempt.started) AS sum_1 
FROM attempt JOIN task ON task.task = attempt.task 
WHERE task.run = run.run AND attempt.ended IS NOT NULL) AS us 
FROM run 
WHERE run.counted_day IS NOT NULL AND run.run IN (?);

SELECT run.state, run.open_tasks, run.failing 
FROM run 
WHERE run.run = ?;

SELECT run.submitted, run.run, run.requester, run.pipeline, run.tenant 
FROM run 
WHERE run.submitted < ? AND run.submitted >= ?;

SELECT run.submitted, run.run, run.requester, run.pipeline, run.tenant 
FROM run 
WHERE run.submitted >= ?;

SELECT run.tenant, count(*) AS number 
FROM run 
WHERE run.state = 'held' GROUP BY run.tenant;

SELECT run.tenant, count(*) AS number 
FROM run 
WHERE run.state = 'running' AND run.counted_day IS NOT NULL GROUP BY run.tenant;

SELECT schedule.name, schedule.spec, schedule.paused, schedule.next_fire, schedule.revision, schedule.changed, schedule.changed_by 
FROM schedule 
WHERE schedule.name = ?;

SELECT schedule.name, schedule.spec, schedule.paused, schedule.next_fire, schedule.revision, schedule.changed, schedule.changed_by 
FROM schedule ORDER BY schedule.name;

SELECT slot.[key], count(*) AS held 
FROM slot JOIN task ON task.task = slot.task 
WHERE slot.[key] IN (?) AND (task.state = ? AND task.epoch = slot.epoch OR (task.state = ? OR task.state = ?) AND task.attempt = slot.attempt AND task.epoch + ? = slot.epoch) GROUP BY slot.[key];

SELECT slot.[key], count(*) AS held 
FROM slot JOIN task ON task.task = slot.task 
WHERE task.state = ? AND task.epoch = slot.epoch OR (task.state = ? OR task.state = ?) AND task.attempt = slot.attempt AND task.epoch + ? = slot.epoch GROUP BY slot.[key];

SELECT slot.[key], slot.task 
FROM slot JOIN task ON task.task = slot.task 
WHERE slot.task IN (?) AND (task.state = ? AND task.epoch = slot.epoch OR (task.state = ? OR task.state = ?) AND task.attempt = slot.attempt AND task.epoch + ? = slot.epoch);

SELECT slot_key.[key], slot_key.paced, slot_key.turn 
FROM slot_key 
WHERE slot_key.[key] IN (?);

SELECT slot_key.[key], slot_key.running, slot_key.starts, slot_key.per, slot_key.paced 
FROM slot_key 
WHERE slot_key.[key] IN (SELECT put_off.[key] 
FROM put_off) ORDER BY slot_key.[key];

SELECT slot_key.[key], slot_key.running, slot_key.starts, slot_key.per, slot_key.paced, slot_key.turn 
FROM slot_key 
WHERE slot_key.[key] IN (?);

SELECT slot_key.[key], slot_key.turn 
FROM slot_key 
WHERE slot_key.[key] IN (?);

SELECT span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.start_ns, span.end_ns, span.status, span.attributes, span.run, span.task, span.within 
FROM span 
WHERE span.trace_id = ?;

SELECT span.trace_id, span.span_id, span.parent_id, span.name, span.kind, span.start_ns, span.end_ns, span.status, span.attributes, span.run, span.task, span.within 
FROM span 
WHERE span.trace_id = ? AND span.task = ?;

SELECT stretch.submitted, stretch.run 
FROM (SELECT TOP ? run.run AS run, run.pipeline AS pipeline, run.tenant AS tenant, run.requester AS requester, run.state AS state, run.tasks AS tasks, run.open_tasks AS open_tasks, run.submitted AS submitted, run.ended AS ended, run.deadline AS deadline, run.request AS request 
FROM run 
WHERE run.submitted <= ? AND (run.submitted < ? OR run.submitted = ? AND run.run < ?) ORDER BY run.submitted DESC, run.run DESC) AS stretch ORDER BY stretch.submitted DESC, stretch.run DESC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT stretch.submitted, stretch.run 
FROM (SELECT TOP ? run.run AS run, run.pipeline AS pipeline, run.tenant AS tenant, run.requester AS requester, run.state AS state, run.tasks AS tasks, run.open_tasks AS open_tasks, run.submitted AS submitted, run.ended AS ended, run.deadline AS deadline, run.request AS request 
FROM run ORDER BY run.submitted DESC, run.run DESC) AS stretch ORDER BY stretch.submitted DESC, stretch.run DESC
 OFFSET ? ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.lane, max(task.queued) AS queued, max(anon_1.started) AS at 
FROM task JOIN (SELECT attempt.task AS task, attempt.started AS started 
FROM attempt
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY) AS anon_1 ON anon_1.task = task.task GROUP BY task.lane;

SELECT task.lane, task.state, count(*) AS tasks, min(task.queued) AS oldest 
FROM task 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') GROUP BY task.lane, task.state;

SELECT task.run 
FROM task 
WHERE task.task = ?;

SELECT task.run, count(*) AS tasks 
FROM task 
WHERE task.run IN (?) AND task.state = ? AND task.epoch = ? GROUP BY task.run;

SELECT task.stage, count(*) AS tasks 
FROM task 
WHERE task.run = ? AND task.state != ? GROUP BY task.stage;

SELECT task.stage, task.state, count(*) AS tasks, sum(CASE WHEN (task.started IS NOT NULL) THEN task.attempt ELSE ? END) AS attempts, min(task.started) AS started, max(task.ended) AS ended 
FROM task 
WHERE task.run = ? GROUP BY task.stage, task.state;

SELECT task.state, count(*) AS count_1 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') GROUP BY task.state;

SELECT task.task 
FROM task JOIN run ON run.run = task.run 
WHERE task.task IN (?) AND (run.cancel_requested = 1 OR task.cancel_requested = 1);

SELECT task.task, task.attempt 
FROM task LEFT OUTER JOIN attempt ON attempt.task = task.task AND attempt.epoch = task.epoch 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') AND task.state = ? AND task.lane = ? AND task.kind = ? AND task.version = ? AND (coalesce(attempt.ended, task.queued) < ? OR coalesce(attempt.ended, task.queued) < ?) ORDER BY task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.task, task.attempt, task.fingerprint 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.attempt, task.state, task.lease_until 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.epoch, task.cancel_requested, run.cancel_requested AS run_cancelled 
FROM task JOIN run ON run.run = task.run 
WHERE task.task IN (?) AND task.state = ?;

SELECT task.task, task.fault 
FROM task 
WHERE task.state IN ('failed', 'dead', 'denied', 'parked') AND task.fingerprint IS NULL ORDER BY task.stage, task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.task, task.fault 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.run, task.lane, task.state 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline 
FROM task 
WHERE task.task = ?;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.epoch, approval.digest, approval.expires, approval.state AS approval, run.requester 
FROM task JOIN approval ON approval.task = task.task AND approval.epoch = task.epoch JOIN run ON run.run = task.run 
WHERE task.task = ? AND task.state = ?;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.epoch, task.state, task.token, run.state AS run_state, run.failing, run.cancel_requested AS run_cancelled, run.tasks, run.open_tasks, run.deadline AS run_deadline, run.counted_day 
FROM task JOIN run ON run.run = task.run 
WHERE task.task IN (?);

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.state, task.epoch, task.max_attempts, task.cancel_requested, run.cancel_requested AS run_cancelled 
FROM task JOIN run ON run.run = task.run 
WHERE task.state = 'running' AND task.lease_until < ? ORDER BY task.lease_until, task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.state, task.epoch, task.max_attempts, task.cancel_requested, run.cancel_requested AS run_cancelled 
FROM task JOIN run ON run.run = task.run 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') AND task.deadline < ? AND task.state != ? ORDER BY task.deadline, task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.state, task.epoch, task.queued 
FROM task LEFT OUTER JOIN outbox ON outbox.task = task.task AND outbox.attempt = task.attempt 
WHERE task.state IN ('queued', 'running', 'retrying', 'held', 'parked') AND task.state IN (?) AND task.queued < ? AND (outbox.seq IS NULL OR outbox.relayed < ?) AND NOT (EXISTS (SELECT * 
FROM put_off 
WHERE put_off.task = task.task)) AND NOT (EXISTS (SELECT pause.name 
FROM pause 
WHERE pause.what = ? AND pause.name = task.lane OR pause.what = ? AND pause.name = (SELECT run.pipeline 
FROM run 
WHERE run.run = task.run))) ORDER BY task.queued, task.task
 OFFSET 0 ROWS
 FETCH FIRST ? ROWS ONLY;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.state, task.token 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.attempt, task.deadline, task.token 
FROM task 
WHERE task.task = ?;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested 
FROM task 
WHERE task.run = ? ORDER BY task.stage, task.partition;

SELECT task.task, task.run, task.stage, task.partition, task.kind, task.version, task.lane, task.payload, task.state, task.was, task.pending, task.attempt, task.max_attempts, task.epoch, task.token, task.queued, task.worker, task.lease_until, task.started, task.ended, task.deadline, task.fault, task.ahead, task.fingerprint, task.promised, task.cancel_requested, run.traceparent 
FROM task JOIN run ON run.run = task.run 
WHERE task.task = ?;

SELECT task.task, task.run, task.stage, task.partition, task.state 
FROM task 
WHERE task.task = ?;

SELECT task.task, task.run, task.state, task.attempt 
FROM task 
WHERE task.task IN (?);

SELECT task.task, task.run, task.state, task.was, task.attempt, task.epoch, task.max_attempts, task.token, task.worker, task.cancel_requested, coalesce((SELECT outbox.digest 
FROM outbox 
WHERE outbox.task = task.task AND outbox.attempt = task.attempt), task.promised, ?) AS promised, run.cancel_requested AS run_cancelled 
FROM task JOIN run ON run.run = task.run 
WHERE task.task IN (?);

SELECT task.task, task.stage, task.partition, decision.epoch, decision.recorded, decision.decision 
FROM task JOIN decision ON decision.task = task.task 
WHERE task.run = ? ORDER BY task.stage, task.partition, task.task, decision.epoch, decision.position;

SELECT task.task, task.token 
FROM task 
WHERE task.task IN (?);

SELECT tenant_use.day, tenant_use.tasks, tenant_use.compute_us 
FROM tenant_use 
WHERE tenant_use.tenant = ?;

SELECT tenant_use.tenant, tenant_use.day, tenant_use.tasks, tenant_use.compute_us 
FROM tenant_use ORDER BY tenant_use.tenant;

SELECT told.lane, told.minute, told.state, count(*) AS tasks 
FROM (SELECT task.lane AS lane, task.ended / ? AS minute, task.state AS state 
FROM task 
WHERE task.ended IS NOT NULL AND task.ended >= ? AND task.ended < ?) AS told GROUP BY told.lane, told.minute, told.state;

SELECT vote.person 
FROM vote 
WHERE vote.task = ? AND vote.epoch = ?;

SELECT vote.person 
FROM vote 
WHERE vote.task = ? AND vote.epoch = ? AND vote.approves = 1 ORDER BY vote.person;

SELECT worker.gone 
FROM worker 
WHERE worker.worker = ?;

SELECT worker.gone, worker.last_seen 
FROM worker;

SELECT worker.lanes 
FROM worker 
WHERE worker.gone = 0;

SELECT worker.lanes, worker.facts, worker.first_seen 
FROM worker 
WHERE worker.gone = 0 ORDER BY worker.worker;

SELECT worker.worker, worker.lanes, worker.facts, worker.first_seen, worker.last_seen, worker.gone, worker.drain_asked, worker.drained_by, worker.drain_reason, anon_1.tasks 
FROM worker LEFT OUTER JOIN (SELECT task.worker AS worker, count(*) AS tasks 
FROM task 
WHERE task.state = 'running' GROUP BY task.worker) AS anon_1 ON anon_1.worker = worker.worker ORDER BY worker.gone, worker.worker;

UPDATE approval SET state=? WHERE approval.task = ? AND approval.epoch = ?;

UPDATE attempt SET state=?, ended=?, fault=? WHERE EXISTS (SELECT task.task 
FROM task 
WHERE task.task = attempt.task AND task.epoch = attempt.epoch AND task.run = ? AND task.state = ?);

UPDATE attempt SET state=?, ended=?, fault=? WHERE EXISTS (SELECT task.task 
FROM task 
WHERE task.task = attempt.task AND task.epoch = attempt.epoch AND task.task = ? AND task.state = ?);

UPDATE attempt SET state=?, ended=?, fault=?, facts=?, traceparent=?, reused_from=? WHERE attempt.task = ? AND attempt.epoch = ?;

UPDATE dead_letter SET taken_up=?, became=? WHERE dead_letter.queue = ? AND dead_letter.sequence_number = ? AND dead_letter.taken_up IS NULL;

UPDATE redrive_item SET state=?, became=?, at=?, note=? WHERE redrive_item.job = ? AND redrive_item.position = ?;

UPDATE redrive_job SET state=?, ended=?, ended_by=? WHERE redrive_job.job = ?;

UPDATE redrive_job SET state=?, redriven=(redrive_job.redriven + ?), refused=(redrive_job.refused + ?), paced=?, ended=? WHERE redrive_job.job = ?;

UPDATE redrive_job SET state=redrive_job.state WHERE redrive_job.job = ?;

UPDATE run SET counted_tasks=?, counted_us=? WHERE run.run = ?;

UPDATE run SET deadline=? WHERE run.run = ?;

UPDATE run SET state=?, failing=?, cancel_requested=?, open_tasks=?, ended=? WHERE run.run = ?;

UPDATE run SET state=?, failing=?, ended=? WHERE run.run = ?;

UPDATE run SET state=?, failing=?, open_tasks=(run.open_tasks + ?), ended=NULL WHERE run.run = ?;

UPDATE run SET state=?, tasks=?, open_tasks=?, ended=?, admitted=?, counted_day=?, counted_tasks=?, counted_us=? WHERE run.run = ?;

UPDATE run_approval SET state=? WHERE run_approval.run = ?;

UPDATE schedule SET next_fire=? WHERE schedule.name = ? AND schedule.revision = ? AND schedule.next_fire = ?;

UPDATE schedule SET paused=?, next_fire=?, revision=? WHERE schedule.name = ?;

UPDATE schedule SET spec=?, next_fire=?, revision=?, changed=?, changed_by=? WHERE schedule.name = ?;

UPDATE slot_key SET paced=?, turn=? WHERE slot_key.[key] = ?;

UPDATE slot_key SET running=?, starts=?, per=? WHERE slot_key.[key] = ?;

UPDATE task SET attempt=(task.attempt + ?), max_attempts=(task.max_attempts + ?), token=?, queued=? WHERE task.task = ? AND task.attempt = ? AND task.state = ? AND task.epoch = ?;

UPDATE task SET attempt=(task.attempt + ?), max_attempts=(task.max_attempts + ?), token=?, queued=? WHERE task.task = ? AND task.epoch = ? AND task.state = ?;

UPDATE task SET cancel_requested=? WHERE task.task = ?;

UPDATE task SET deadline=? WHERE task.run = ? AND task.state != ?;

UPDATE task SET epoch=(task.epoch + ?) WHERE task.run = ? AND task.state = ?;

UPDATE task SET epoch=(task.epoch + ?) WHERE task.task = ? AND task.state = ?;

UPDATE task SET fingerprint=? WHERE task.task = ?;

UPDATE task SET fingerprint=? WHERE task.task = ? AND task.state IN ('failed', 'dead', 'denied', 'parked') AND task.fingerprint IS NULL;

UPDATE task SET payload=coalesce(?, task.payload), state=?, was=task.state, attempt=(task.attempt + ?), max_attempts=(task.max_attempts + ?), token=?, queued=?, ended=NULL, fault=NULL, fingerprint=NULL WHERE task.task = ?;

UPDATE task SET state=?, was=task.state, attempt=(task.attempt + ?), max_attempts=(task.max_attempts + ?), token=?, queued=?, fault=NULL WHERE task.task = ?;

UPDATE task SET state=?, was=task.state, attempt=(task.attempt + ?), token=?, queued=?, lease_until=?, ended=?, fault=?, fingerprint=? WHERE task.task = ? AND task.epoch = ? AND task.attempt = ? AND task.state = ? AND (task.state != ? OR task.lease_until < ?);

UPDATE task SET state=?, was=task.state, ended=NULL WHERE task.run IN (?) AND task.state = ? AND task.epoch = ?;

UPDATE task SET state=?, was=task.state, lease_until=NULL, ended=? WHERE task.run = ? AND task.state IN (?);

UPDATE task SET state=?, was=task.state, token=?, ended=?, fault=? WHERE task.task = ?;

UPDATE task SET state=?, was=task.state, token=?, lease_until=?, ended=? WHERE task.task = ?;

UPDATE task SET token=?, queued=?, ahead=? WHERE task.task = ? AND task.attempt = ? AND (task.state = ? OR task.state = ?);

UPDATE tenant_use SET day=?, tasks=?, compute_us=? WHERE tenant_use.tenant = ?;

UPDATE tenant_use SET tasks=((tenant_use.tasks + ?) - ?), compute_us=((tenant_use.compute_us + ?) - ?) WHERE tenant_use.tenant = ? AND tenant_use.day = ?;

UPDATE tenant_use SET tasks=(tenant_use.tasks + ?), compute_us=(tenant_use.compute_us + ?) WHERE tenant_use.tenant = ?;

UPDATE tenant_use SET tasks=tenant_use.tasks WHERE tenant_use.tenant = ?;

UPDATE worker SET drain_asked=?, drained_by=?, drain_reason=? WHERE worker.worker = ? AND worker.gone = 0 AND worker.drain_asked IS NULL;

UPDATE worker SET gone=? WHERE worker.gone = 0 AND worker.last_seen < ?;

UPDATE worker SET lanes=?, facts=?, last_seen=?, gone=? OUTPUT inserted.drain_asked WHERE worker.worker = ?;

