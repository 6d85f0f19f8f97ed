"""What crosses the ledger's boundary: what is asked of it, what it answers, what it lets be read.

Frozen values. Times are aware and in UTC. The rows of the read side are ready for `--json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from contracts.allowance import Allowance
from contracts.artifact import ArtifactPointer
from contracts.decision import Decision
from contracts.envelope import Envelope
from contracts.fact import Fact, JsonObject, StrictFact
from contracts.limit import Slot
from contracts.outcome import Fault
from contracts.plan import RunGraph
from contracts.request import RunRequest
from contracts.states import State

TaskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f-]{1,36}$")]

# --- the way in -----------------------------------------------------------------------------------


class LaneLimits(Fact):
    """What the ledger has to know of a lane's rules."""

    max_attempts: int = Field(default=4, ge=1)


class NewRun(Fact):
    """A run that was asked for, planned and decided on."""

    run: str
    request: RunRequest
    graph: RunGraph
    admitted: Decision
    submitted: AwareDatetime
    deadline: AwareDatetime
    traceparent: str | None = None
    lane_limits: dict[str, LaneLimits] = {}
    """By lane name; a lane that is not here has the defaults."""
    allowance: Allowance | None = None
    """Of the tenant: reserved from where the run is allowed. None where nothing limits it."""
    asks: "ApprovalAsked | None" = None
    """For a run that is held: the approval that would let it through."""


# --- an attempt -----------------------------------------------------------------------------------
#
# Plain dataclasses, without slots and not frozen: every task is claimed and recorded, here and
# through the pipe of a process that writes apart, and these are built and pickled in a fraction of
# a model's time. (Frozen, building takes three times as long: a call for each field.) Nobody
# changes them.


@dataclass(kw_only=True)
class Claim:
    """A worker asks for one attempt at one task."""

    task: str
    attempt: int
    worker: str
    now: datetime
    lease_until: datetime
    digest: str = ""
    """contracts.promised.digest_of the envelope; empty from an older worker, and not compared."""
    slots: tuple[Slot, ...] = ()
    """What the task needs to run, by the limits of its lane and its pipeline."""


@dataclass(kw_only=True)
class Claimed:
    """The attempt is leased to the asker. `epoch` guards everything that it records."""

    task: str
    run: str
    attempt: int
    epoch: int
    max_attempts: int | None = None
    """What the lane allows, and one more for each attempt that was not the task's to spend."""
    cancel_requested: bool = False


WhyNot = Literal[
    "closed", "leased", "superseded", "unknown", "cancelled", "altered", "paused", "put_off"
]


@dataclass(kw_only=True)
class NotClaimed:
    """Somebody else's, over, or never known: there is nothing to run."""

    task: str
    why: WhyNot
    """`superseded`: the task is open, but this attempt is not the one that is promised now;
    `altered`: it is, and was promised with another payload, other inputs or another head;
    `paused` and `put_off` (no slot is free): the ledger promises it again when it may run."""
    state: State | None = None
    holder: str | None = None


class ApprovalAsked(Fact):
    """What people are asked to approve before a held task or run may go on."""

    digest: str
    """contracts.approval: task_digest, run_digest."""
    reasons: str
    expires: AwareDatetime


@dataclass(kw_only=True)
class Record:
    """How an attempt ended, and everything that it leaves behind."""

    task: str
    run: str | None = None
    """Of the task, as the claim told it; else it is looked up."""
    epoch: int
    worker: str
    now: datetime
    state: State
    """One of the moves from `running`."""
    fault: Fault | None = None
    outputs: tuple[ArtifactPointer, ...] = ()
    inputs: tuple[ArtifactPointer, ...] = ()
    """What was read, in the order of the envelope."""
    decisions: tuple[Decision, ...] = ()
    asks: ApprovalAsked | None = None
    """For `held`: the approval that it waits for."""
    partitions: tuple[str, ...] | None = None
    """What the stage discovered. Needed, though it may be empty, where a stage fans out over it."""
    facts: Mapping[str, JsonValue] = field(default_factory=dict)
    retry_at: datetime | None = None
    """For `retrying`: not before this time."""
    traceparent: str | None = None
    """Of the attempt's span; the tasks that become ready continue it."""
    reused_from: str | None = None
    """The task whose recorded outputs these are, when nothing was run."""
    slots: tuple[str, ...] = ()
    """Keys of the slots that the attempt had: others that wait for them are promised."""


@dataclass(kw_only=True)
class OutboxRow:
    """One attempt promised to a queue and not known to be on it."""

    seq: int
    queue: str
    run: str
    text: str
    """The envelope as JSON: who relays it parses it, and nobody before."""
    again: bool = False
    """A second message of its attempt, told from the first one by the row's number."""
    not_before: datetime | None = None

    @property
    def envelope(self) -> Envelope:
        """As it travels."""
        envelope = Envelope.model_validate_json(self.text)
        return envelope.model_copy(update={"again": self.seq}) if self.again else envelope


@dataclass(kw_only=True)
class Started:
    """What became of a request for a run. `outbox`: the rows to be relayed at once, all of them or
    none; then the outbox is to be asked for them."""

    run: str
    created: bool
    """Whether this request started it; else its key had done so before."""
    state: str
    submitted: datetime
    outbox: tuple[OutboxRow, ...] = ()


@dataclass(kw_only=True)
class Recorded:
    """`outbox`: rows that this record caused, to be relayed at once; at most RELAYED_AT_ONCE of
    them, the dispatcher relays the others."""

    outbox: tuple[OutboxRow, ...]
    run_state: State


RELAYED_AT_ONCE = 256

# --- upkeep ---------------------------------------------------------------------------------------


class Swept(Fact):
    """What one sweep moved."""

    requeued: int = 0
    """Leases that had expired: a new attempt is promised."""
    dead: int = 0
    """Leases that had expired with no attempt left."""
    expired: int = 0
    """Tasks past their deadline."""
    promised_again: int = 0
    """Queued attempts whose message was lost."""
    workers_gone: int = 0
    queued: int = 0
    """Tasks of a fan-out too wide for one transaction, promised now."""

    @property
    def moved(self) -> int:
        """While this is not 0, another sweep may find more."""
        tasks = self.requeued + self.dead + self.expired + self.promised_again + self.queued
        return tasks + self.workers_gone


class DeadLetter(Fact):
    """A message that could not be taken."""

    queue: str
    message_id: str
    sequence_number: int
    task: str | None = None
    disposition: Literal["dead", "parked"]
    reason: str
    description: str
    size: int = Field(ge=0)
    """Of the body, in bytes. The body itself stays on the bus."""
    at: AwareDatetime
    kind: str | None = None
    version: int | None = None
    """What the envelope says it is, where that could be read."""


class EndedRun(Fact):
    """A run that is over, as it stands."""

    run: str
    ended: AwareDatetime
    tasks: int


class ArchiveRow(Fact):
    """One file of archived runs."""

    digest: str
    at: AwareDatetime
    actor: str
    runs: int
    rows: int
    first_ended: AwareDatetime
    last_ended: AwareDatetime
    pointer: ArtifactPointer


class SpanRow(Fact):
    """One finished span of the local trace store. Ids are lower-case hex."""

    trace_id: str
    span_id: str
    parent_id: str | None = None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    attributes: JsonObject = {}
    run: str | None = None
    task: str | None = None


# --- redrives -------------------------------------------------------------------------------------


class Selection(StrictFact):
    """Which dead letters are meant: exactly one of the three."""

    tasks: tuple[TaskId, ...] | None = Field(default=None, min_length=1, max_length=5000)
    """These, whatever they stand with. No message of the bus is ever among them."""
    group: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,64}$")] | None = None
    """All that stand with this fingerprint now."""
    everything: bool = False

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if [self.tasks is not None, self.group is not None, self.everything].count(True) != 1:
            raise ValueError("say one of: tasks, group, everything")
        return self


class NewRedrive(Fact):
    """A redrive job that was asked for."""

    job: str
    selection: Selection
    actor: str
    reason: str
    per_second: int | None = Field(default=None, ge=1)
    now: AwareDatetime


class RedriveJob(Fact):
    """A redrive as it stands. Its items were chosen when it was asked for."""

    job: str
    state: Literal["running", "done", "cancelled"]
    actor: str
    reason: str
    selection: JsonObject
    """A Selection; or a `message` by its queue and number."""
    per_second: int | None
    total: int
    redriven: int
    refused: int
    """Had moved on when their turn came: they were left alone, and each says why."""
    asked: AwareDatetime
    ended: AwareDatetime | None
    ended_by: str | None

    @property
    def left(self) -> int:
        """Not redriven and not refused. Of a cancelled job they stay as they are."""
        return self.total - self.redriven - self.refused


class RedriveItem(Fact):
    """One task of a job: which attempt had failed, and what became of it. Or one message."""

    position: int
    task: str | None
    attempt: int | None
    queue: str | None
    sequence_number: int | None
    fingerprint: str | None
    state: Literal["pending", "redriven", "refused"]
    became: str | None
    """The attempt that was promised instead; or the message that was sent."""
    at: AwareDatetime | None
    note: str | None


class AsideMessage(Fact):
    """A message on a dead-letter queue, or deferred."""

    queue: str
    message_id: str
    sequence_number: int
    disposition: Literal["dead", "parked"]
    kind: str | None
    version: int | None


class PreviewGroup(Fact):
    """How many of one fingerprint a redrive would choose."""

    fingerprint: str
    reason: str
    sample: str
    count: int


class RedrivePreview(Fact):
    """What a redrive would choose now."""

    total: int
    refused: int
    """Named, but no dead letter now."""
    groups: tuple[PreviewGroup, ...]


class Woken(Fact):
    """What could be promised of what was put off."""

    tasks: int
    more: bool
    """Whether another call may promise more at once."""
    outbox: tuple[OutboxRow, ...] = ()


class FlowView(Fact):
    """What a worker has to know of the flow, at one moment."""

    paused_lanes: frozenset[str] = frozenset()
    paused_pipelines: frozenset[str] = frozenset()
    ahead: frozenset[str] = frozenset()
    """Lanes with tasks that are to be taken ahead of their queue."""


class Stepped(Fact):
    """What one step of the redrives did."""

    redriven: int = 0
    refused: int = 0
    ended: tuple[str, ...] = ()
    """Jobs that this step finished."""
    more: bool = False
    """Whether something could be redriven at once."""
    outbox: tuple[OutboxRow, ...] = ()


# --- the read side --------------------------------------------------------------------------------


class RunRow(Fact):
    """One run in a list."""

    run: str
    pipeline: str
    tenant: str
    requester: str
    state: State
    tasks: int
    open_tasks: int
    submitted: AwareDatetime
    ended: AwareDatetime | None
    deadline: AwareDatetime


class StageRow(Fact):
    """One stage of a run, in graph order."""

    stage: str
    kind: str
    lane: str
    needs: tuple[str, ...]
    tasks: int
    """0 while its partitions are yet to be discovered."""
    states: dict[State, int]
    attempts: int
    started: AwareDatetime | None
    ended: AwareDatetime | None
    """When the last attempt ended, once no task of the stage is open."""


class RunDetail(RunRow):
    """One run in full."""

    request: RunRequest
    admitted: Decision
    trace_id: str | None
    cancel_requested: bool
    stages: tuple[StageRow, ...]


class TaskRow(Fact):
    """One task in a list."""

    task: str
    run: str
    stage: str
    partition: str
    kind: str
    version: int
    lane: str
    state: State
    attempt: int
    max_attempts: int
    pending: int
    """Parents that it waits for."""
    worker: str | None
    lease_until: AwareDatetime | None
    deadline: AwareDatetime
    started: AwareDatetime | None
    ended: AwareDatetime | None
    fault: Fault | None


class AttemptRow(Fact):
    """One try at a task. A released or taken-over attempt has several epochs under one number."""

    number: int
    epoch: int
    worker: str
    state: State
    started: AwareDatetime
    ended: AwareDatetime | None
    fault: Fault | None
    facts: JsonObject
    reused_from: str | None
    trace_id: str | None


class EventRow(Fact):
    """One move of a run or task; without `old`, something noted that moved nothing (or the run's
    start). Never changed once written."""

    at: AwareDatetime
    run: str
    task: str | None
    actor: str
    old: State | None
    new: State
    detail: str
    facts: JsonObject | None = None
    """Of a redrive: `redrives`, the attempt that had failed; the `job` it was part of; `edit`, how
    the payload was changed: a JSON Patch (RFC 6902) with `was` beside each value."""


class RecordedDecision(Fact):
    """A decision with the attempt it was given for."""

    epoch: int
    at: AwareDatetime
    decision: Decision


class TaskDetail(TaskRow):
    """One task in full. Inputs and outputs are those of the last attempt that recorded any."""

    payload: JsonObject
    history: tuple[EventRow, ...]
    attempts: tuple[AttemptRow, ...]
    decisions: tuple[RecordedDecision, ...]
    inputs: tuple[ArtifactPointer, ...]
    outputs: tuple[ArtifactPointer, ...]
    facts: JsonObject
    trace_id: str | None


class ArtifactRow(Fact):
    """One artifact that a run made."""

    task: str
    stage: str
    partition: str
    epoch: int
    recorded: AwareDatetime
    pointer: ArtifactPointer


class PauseRow(Fact):
    """A lane or pipeline of which nothing new starts."""

    what: Literal["lane", "pipeline"]
    name: str
    actor: str
    reason: str
    at: AwareDatetime
    put_off: int = 0
    """Tasks whose messages had come before it was noticed; they are promised again afterwards."""


class AuditRow(Fact):
    """What an operator did to a lane, a pipeline or a schedule."""

    at: AwareDatetime
    what: str
    name: str
    action: str
    actor: str
    reason: str
    facts: JsonObject | None = None


class SlotRow(Fact):
    """The slots of one key."""

    key: str
    running: int | None
    """At most so many at once."""
    starts: int | None
    """At most so many in each `per` seconds."""
    per: int
    held: int
    waiting: int


class LaneRow(Fact):
    """The open tasks of a lane."""

    lane: str
    states: dict[State, int]
    oldest_queued: AwareDatetime | None
    paused: PauseRow | None = None
    put_off: int = 0
    """Tasks among the queued and retrying that wait for a slot, or for the end of a pause."""


class DeadRow(Fact):
    """Something an operator may have to look at: a task that failed, or a message not taken."""

    what: Literal["task", "message"]
    id: str
    """Of the task; or `queue/sequence-number` of the message."""
    where: str
    """The stage and partition; or the queue."""
    state: str
    """The task's state; or the message's disposition."""
    reason: str
    description: str
    run: str | None
    task: str | None
    at: AwareDatetime


class DeadGroup(Fact):
    """Dead letters with one fingerprint: most likely one cause."""

    fingerprint: str
    what: Literal["task", "message"]
    reason: str
    """The fault's code; or why the messages were not taken."""
    sample: str
    """The words of the latest one."""
    sample_id: str
    """Its task; or `queue/sequence-number`."""
    count: int
    first: AwareDatetime
    last: AwareDatetime
    where: dict[str, int]
    """How many by stage; or by queue. The most first."""
    trend: tuple[int, ...]
    """How many in each of the last 24 hours, the latest last."""


class WorkerRow(Fact):
    """One worker process."""

    worker: str
    lanes: tuple[str, ...]
    state: Literal["live", "gone"]
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    running: int
    facts: JsonObject
    drain_asked: AwareDatetime | None = None
    """When it was asked to stop; None where it was not."""
    drained_by: str | None = None
    drain_reason: str | None = None
