"""The life of one delivery, told in the order in which it happens.

Open, claim, gate, run, gate the outputs, record, hand on, settle. A crash between any two of these
loses nothing and records nothing twice: before the record the lease runs out and the task is
promised again; after it the ledger says that the task is closed, and the delivery is completed
unrun. What it made due is relayed beside it (workers/relays.py), by the dispatcher where a crash
comes first. Locks may be lost at any time: correctness rests on the lease and its epoch.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from contracts.approval import APPROVAL_WAITS, task_digest
from contracts.artifact import ArtifactPointer
from contracts.decision import Decision, Gate, Verdict
from contracts.envelope import Envelope, MalformedEnvelope, decoded
from contracts.lane import Lane
from contracts.outcome import Failed, Fault, FaultKind, Interrupted, Outcome, Produced
from contracts.promised import digest_of
from contracts.states import State
from fleet.artifacts.errors import ArtifactRefused, StoreAway
from fleet.bus.errors import SettleFailed
from fleet.bus.receiver import Delivery
from fleet.bus.refusal import holds_secret, told_of
from fleet.bus.refusal import refuse as settle_refused
from fleet.ledger.errors import IllegalRecord, LedgerBusy, LedgerError, StaleEpoch
from fleet.ledger.rows import (
    ApprovalAsked,
    Claim,
    Claimed,
    DeadLetter,
    NotClaimed,
    Record,
    Recorded,
)
from fleet.telemetry import names
from fleet.telemetry.context import traceparent_of
from fleet.telemetry.redact import redacted, redacted_json
from policies.retry import Advance, Close, Release, RetryAt, decide
from workers.bench import laid_out, names_sources, reads_files
from workers.execute_facts import execute_facts
from workers.gathering import gathered
from workers.guard import failed
from workers.leases import End, Lease
from workers.off_loop import off_loop_if
from workers.outputs import inputs_of, release
from workers.rules_in_time import gate_of
from workers.runner import AttemptEnded, TimedOut
from workers.site import Site
from workers.slots import slots_of
from workers.spans import outcome_attributes, process_span, run_span, settle_span
from workers.stages.handler import StageFault
from workers.stages.scratch import Scratch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What one attempt came to: its outcome, and what was decided and stored on the way."""

    outcome: Outcome
    decisions: tuple[Decision, ...] = ()
    outputs: tuple[ArtifactPointer, ...] = ()
    held: bool = False
    waits_for_hours: bool = False
    """Held for nothing but the time of day."""


async def work(delivery: Delivery, lane: Lane, site: Site) -> str | None:
    """Carry one delivery from lock to settlement. Says why, where the ledger declined the claim."""
    try:
        envelope = await opened(delivery, lane, site)
    except MalformedEnvelope as fault:
        await refuse(delivery, "malformed", str(fault), site)
        return None
    site.point("opened")
    with process_span(site.tracer, envelope, delivery) as span:
        claimed = await claim(envelope, lane, site)
        if isinstance(claimed, NotClaimed):
            span.set_attribute(names.DECLINED, claimed.why)
            await decline(delivery, envelope, claimed, site)
            return claimed.why
        site.point("claimed")
        with site.leases.hold(claimed, delivery, lane.lease) as lease:
            envelope, attempted = await attempt(envelope, lane, lease, site)
            record = recording(
                attempted,
                envelope=envelope,
                claimed=claimed,
                lane=lane,
                site=site,
                traceparent=traceparent_of(span),
            )
            span.set_attributes(outcome_attributes(record))
            try:
                recorded = await written(record, lease, site)
            except StaleEpoch as stale:
                span.set_attribute(names.LEASE_LOST, True)
                _log.warning("%s", stale)
                await settle(delivery, State.SUCCEEDED)
                return None
        site.point("recorded")
        site.relays.put(recorded.outbox)
        # Settled last: a crash above redelivers, and the ledger then says what happened.
        with settle_span(site.tracer, envelope, delivery):
            settled = await settle(delivery, record.state)
        if record.state is State.QUEUED and not settled:
            await send_anew(record, site)
        site.point("settled")
    return None


async def opened(delivery: Delivery, lane: Lane, site: Site) -> Envelope:
    """The envelope, whole and on its own lane. Raises MalformedEnvelope."""
    envelope = decoded(await site.bus.whole(delivery.message))
    if envelope.lane != lane.name:
        raise MalformedEnvelope(f"an envelope for lane {envelope.lane!r} came on {lane.name!r}")
    return envelope


async def claim(envelope: Envelope, lane: Lane, site: Site) -> Claimed | NotClaimed:
    """Ask the ledger for this attempt."""
    now = site.clock.now()
    return await site.ledger.claim(
        Claim(
            task=envelope.task,
            attempt=envelope.attempt,
            worker=site.worker,
            now=now,
            lease_until=now + timedelta(seconds=lane.lease),
            digest=digest_of(envelope),
            slots=slots_of(envelope, lane),
        )
    )


async def attempt(
    envelope: Envelope, lane: Lane, lease: Lease, site: Site
) -> tuple[Envelope, Attempted]:
    """Gather the inputs, and go on with them. Gives the envelope with all of them, too."""
    if (envelope.kind, envelope.version) not in site.handlers:
        known = f"no handler for {envelope.kind} version {envelope.version} in this worker"
        return envelope, Attempted(outcome=_fault(FaultKind.PARKED, "kind.unknown", known))
    try:
        envelope = await gathered(envelope, site)
    except OSError as cause:
        return envelope, Attempted(outcome=_disk_failed(cause))
    except SQLAlchemyError as cause:
        # The ledger is away: nothing has been tried, and the task goes back to its queue.
        _log.warning("inputs of %s could not be gathered: %s", envelope.task, cause)
        return envelope, Attempted(outcome=Interrupted())
    return envelope, await carried_out(envelope, lane, lease, site)


async def carried_out(envelope: Envelope, lane: Lane, lease: Lease, site: Site) -> Attempted:
    """Gate, run, gate the outputs."""
    permitted = await decided(envelope, lane, site)
    if permitted is None or not permitted.allowed:
        return not_permitted(permitted)
    site.point("permitted")
    try:
        with Scratch(site.scratch) as scratch:
            outcome = await handled(envelope, lane, lease, scratch, site)
            site.point("handled")
            match outcome:
                case Produced(outputs=outputs) | Failed(evidence=outputs):
                    found = outcome.partitions or () if isinstance(outcome, Produced) else ()
                    released = await off_loop_if(
                        bool(outputs or found), release, outputs, envelope, site, found
                    )
                case Interrupted():
                    return Attempted(outcome=outcome, decisions=(permitted,))
    except ArtifactRefused as refused:
        broken = _fault(FaultKind.PERMANENT, "output.refused", str(refused))
        return Attempted(outcome=broken, decisions=(permitted,))
    except OSError as cause:
        return Attempted(outcome=_disk_failed(cause), decisions=(permitted,))
    site.point("stored")
    if released.denied is not None:
        outcome = _denied(released.denied)
    return Attempted(
        outcome=outcome, decisions=(permitted, *released.decisions), outputs=released.pointers
    )


async def decided(envelope: Envelope, lane: Lane, site: Site) -> Decision | None:
    """The execute gate's decision; None while this worker's rules are older than the run's."""
    gate = await gate_of(envelope.generation, site)
    if gate is None:
        return None
    facts = await off_loop_if(names_sources(envelope, site), execute_facts, envelope, lane, site)
    decision = gate.decide_values(Gate.EXECUTE, facts)
    if decision.verdict is Verdict.HOLD:
        # Only what is held costs a look at who has approved it.
        by = await site.ledger.approvers(envelope.task, task_digest(envelope))
        decision = gate.decide_values(Gate.EXECUTE, facts | {"approvers": [*by]})
    return decision


def not_permitted(decision: Decision | None) -> Attempted:
    """Held, denied, or given back to a worker with newer rules."""
    if decision is None:
        return Attempted(outcome=Interrupted())
    held = decision.verdict is Verdict.HOLD
    return Attempted(
        outcome=_denied(decision),
        decisions=(decision,),
        held=held,
        waits_for_hours=held and all(r.rule.startswith("hours.") for r in decision.reasons),
    )


async def handled(
    envelope: Envelope, lane: Lane, lease: Lease, scratch: Scratch, site: Site
) -> Outcome:
    """What the handler came to, within the lane's time and the run's deadline.

    Raises OSError where the scratch folder or an input fails.
    """
    left = (envelope.deadline - site.clock.now()).total_seconds()
    if left <= 0:
        return _fault(FaultKind.TIMED_OUT, "deadline.passed", "the run's deadline has passed")
    try:
        bench = await off_loop_if(reads_files(envelope, site), laid_out, envelope, scratch, site)
        site.point("laid-out")
        handler = site.handlers[envelope.kind, envelope.version]
        with run_span(site.tracer, envelope):
            limit = min(lane.timeout, left)
            return await site.runner.run(
                handler, bench, lane.mode, lease, limit, memory_mb=lane.memory_mb
            )
    except StageFault as fault:
        return failed(fault)
    except TimedOut:
        if left < lane.timeout:
            return _fault(
                FaultKind.TIMED_OUT, "deadline.passed", "no end before the run's deadline"
            )
        late = f"no end within the lane's {lane.timeout:.0f} s"
        return _fault(FaultKind.TIMED_OUT, "handler.timed_out", late)
    except AttemptEnded as ended:
        return _ended(ended.why)


def recording(
    attempted: Attempted,
    *,
    envelope: Envelope,
    claimed: Claimed,
    lane: Lane,
    site: Site,
    traceparent: str | None,
) -> Record:
    """The record of an attempt: what it came to, and what follows by the retry rules."""
    outcome, now = attempted.outcome, site.clock.now()
    rules = lane.retry
    if claimed.max_attempts not in {None, rules.max_attempts}:
        rules = rules.model_copy(update={"max_attempts": claimed.max_attempts})
    verdict = decide(outcome, attempt=envelope.attempt, rules=rules, now=now, chance=site.chance())
    retry_at = None
    match verdict:
        case Advance():
            state = State.SUCCEEDED
        case RetryAt(at=at):
            state, retry_at = State.RETRYING, at
        case Release():
            state = State.QUEUED
        case Close(state=closed):
            state = State.HELD if attempted.held else closed
    if attempted.waits_for_hours:
        hours = site.gate.bundle.limits.working_hours
        state, retry_at = State.RETRYING, hours.next_opening(now).astimezone(UTC)
    produced = outcome if isinstance(outcome, Produced) else Produced()
    return Record(
        task=envelope.task,
        run=claimed.run,
        epoch=claimed.epoch,
        worker=site.worker,
        now=now,
        state=state,
        fault=_recordable(outcome.fault) if isinstance(outcome, Failed) else None,
        outputs=attempted.outputs,
        inputs=inputs_of(envelope),
        decisions=attempted.decisions,
        asks=_asked(envelope, attempted, now) if state is State.HELD else None,
        partitions=produced.partitions,
        facts={redacted(name): redacted_json(fact) for name, fact in produced.facts.items()},
        retry_at=retry_at,
        traceparent=traceparent,
        slots=tuple(slot.key for slot in slots_of(envelope, lane)),
    )


async def written(record: Record, lease: Lease, site: Site) -> Recorded:
    """The record, committed. Raises StaleEpoch, or LedgerBusy once the attempt is told to end.

    A record that the ledger refuses as such is the handler's fault, and is recorded as that: else
    the task would be tried again for ever with the same result.
    """
    while True:
        try:
            return await site.ledger.record(record)
        except IllegalRecord as refused:
            record = Record(
                task=record.task,
                run=record.run,
                epoch=record.epoch,
                worker=record.worker,
                now=record.now,
                state=State.FAILED,
                fault=Fault(kind=FaultKind.PERMANENT, code="record.refused", message=str(refused)),
                inputs=record.inputs,
                decisions=record.decisions,
                traceparent=record.traceparent,
                slots=record.slots,
            )
        except LedgerBusy as cause:
            # What was made need not be made again, as long as the lease holds or nobody took it.
            if lease.end is not None:
                raise
            _log.warning("the record of %s waits for the ledger: %s", record.task, cause)


async def send_anew(record: Record, site: Site) -> None:
    """Of a released task whose lock was lost: somebody may have declined its message meanwhile,
    for the lease that stood then. What fails here is left to the sweep."""
    try:
        rows = await site.ledger.promise_anew(
            record.task, record.epoch, site.worker, site.clock.now()
        )
    except (LedgerError, SQLAlchemyError) as cause:
        _log.warning("the message of %s is left to the sweep: %s", record.task, cause)
        return
    site.relays.put(rows)


async def settle(delivery: Delivery, state: State) -> bool:
    """A released task goes back to its queue; everything else the ledger now owns. Whether the
    broker has said yes."""
    try:
        if state is State.QUEUED:
            await delivery.abandon()
        else:
            await delivery.complete()
    except SettleFailed as cause:
        _log.info("%s; it comes back and is then declined", cause)
        return False
    return True


async def decline(delivery: Delivery, envelope: Envelope, said: NotClaimed, site: Site) -> None:
    """Nothing to run here, or not yet: complete, the ledger has it. Unknown or altered: refused."""
    if said.why == "altered":
        reason = f"attempt {envelope.attempt} of task {envelope.task} was promised otherwise"
        await refuse(delivery, "not as promised", reason, site)
    elif said.why != "unknown":
        await settle(delivery, State.SUCCEEDED)
    elif (envelope.kind, envelope.version) in site.handlers:
        reason = f"the ledger has no task {envelope.task}: it was not planned by this fleet"
        await refuse(delivery, "unknown task", reason, site)
    else:
        await park(delivery, envelope, site)


async def refuse(delivery: Delivery, reason: str, description: str, site: Site) -> None:
    """Dead-letter a message that can never be taken; the ledger keeps the reason."""
    told = told_of(delivery.message, description)
    await site.ledger.dead_letter(_letter(delivery, "dead", reason, told, site))
    try:
        await settle_refused(delivery, reason, description)
    except SettleFailed as cause:
        _log.info("%s; it comes back and is refused again", cause)


async def park(delivery: Delivery, envelope: Envelope, site: Site) -> None:
    """Set aside a message whose kind or version a newer worker may know."""
    description = f"{envelope.type} is not known to this worker"
    if holds_secret(delivery.message):
        await refuse(delivery, "unknown kind", description, site)
        return
    letter = _letter(delivery, "parked", "unknown kind", description, site)
    said = {"kind": envelope.kind, "version": envelope.version}
    await site.ledger.dead_letter(letter.model_copy(update=said))
    try:
        await delivery.defer()
    except SettleFailed as cause:
        _log.info("%s; it comes back and is parked again", cause)


def _letter(
    delivery: Delivery, disposition: str, reason: str, description: str, site: Site
) -> DeadLetter:
    return DeadLetter.model_validate(
        {
            "queue": delivery.queue,
            "message_id": delivery.message.message_id[:128],
            "sequence_number": delivery.sequence_number,
            "disposition": disposition,
            "reason": reason,
            "description": description,
            "size": len(delivery.message.body),
            "at": site.clock.now(),
        }
    )


def _fault(kind: FaultKind, code: str, message: str) -> Failed:
    return Failed(fault=Fault(kind=kind, code=code, message=message))


def _disk_failed(cause: OSError) -> Failed:
    if isinstance(cause, StoreAway):
        return _fault(FaultKind.TRANSIENT, "store.away", str(cause))
    # Of the machine, not of the task: a full disk is emptied, another worker may have room.
    why = f"the worker's disk failed: {cause.strerror or type(cause).__name__}"
    return _fault(FaultKind.TRANSIENT, "worker.disk_failed", why)


def _asked(envelope: Envelope, attempted: Attempted, now: datetime) -> ApprovalAsked:
    reasons = "; ".join(r.text for d in attempted.decisions for r in d.reasons)
    return ApprovalAsked(
        digest=task_digest(envelope), reasons=reasons, expires=now + APPROVAL_WAITS
    )


def _recordable(fault: Fault) -> Fault:
    """What a handler says of its fault, without the secrets that its words may hold."""
    facts = {redacted(name): redacted_json(fact) for name, fact in fault.facts.items()}
    return fault.model_copy(update={"message": redacted(fault.message), "facts": facts})


def _denied(decision: Decision) -> Failed:
    words = "; ".join(f"{reason.rule}: {reason.text}" for reason in decision.reasons)
    return _fault(FaultKind.DENIED, f"denied.{decision.gate}", words)


def _ended(why: End) -> Outcome:
    if why is not End.CANCELLED:
        # Lost: where somebody else holds the task, the epoch refuses the release; where nobody
        # does, because the ledger was away, the task was not at fault and goes back to its queue.
        return Interrupted()
    return _fault(FaultKind.CANCELLED, f"attempt.{why}", "told to end before it was done")
