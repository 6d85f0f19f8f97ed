"""The ledger's way in for the dispatcher and the workers: one method for each thing that happens.

Every method is one transaction, shared with whatever else this process writes at that moment; when
it returns, the fact is committed. What it refuses is in `errors`. Reading is `reader`'s.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, Engine

from contracts.artifact import ArtifactPointer
from contracts.envelope import Envelope
from contracts.states import State
from fleet.ledger import (
    approvals,
    archive,
    cancel,
    claim,
    drains,
    fingerprints,
    gather,
    held_runs,
    lost,
    messages,
    notes,
    outbox,
    pauses,
    put_off,
    record,
    redrive,
    redrive_jobs,
    schedules,
    start,
    sweep,
    take_up,
)
from fleet.ledger.apart_writer import ApartWriter
from fleet.ledger.database import open_engine, open_reading_engine
from fleet.ledger.held_runs import Admission, HeldPlace, HeldRun
from fleet.ledger.migrate import to_head
from fleet.ledger.rows import (
    AsideMessage,
    Claim,
    Claimed,
    DeadLetter,
    EndedRun,
    FlowView,
    NewRedrive,
    NewRun,
    NotClaimed,
    OutboxRow,
    Record,
    Recorded,
    RedriveJob,
    SpanRow,
    Started,
    Stepped,
    Swept,
    Woken,
)
from fleet.ledger.spans import FinishedSpan, add_spans, alone
from fleet.ledger.votes import Vote, Voted
from fleet.ledger.writer import LedgerWriter, Writer

_log = logging.getLogger(__name__)


class Ledger:
    """One process's hold on the ledger. Open it with `Ledger.open`, close it with `aclose`."""

    def __init__(self, writer: LedgerWriter, reading: Engine) -> None:
        self._writer = writer
        self._reading = reading

    @property
    def engine(self) -> Engine:
        """What writes, unless it is written apart; for listening to its statements, never for
        writing past the writer."""
        return self._writer.engine

    @classmethod
    async def open(cls, url: str, *, apart: bool = False) -> Self:
        """Connect and bring the tables up to date; safe when several processes do so at once.

        `apart`: a SQLite ledger is written from a process of its own, for who writes much.
        """
        engine = open_engine(url)
        try:
            await asyncio.to_thread(to_head, engine)
        except BaseException:
            engine.dispose()
            raise
        writer: LedgerWriter
        if apart and engine.dialect.name == "sqlite":
            writer = await ApartWriter.open(engine, url)
        else:
            writer = Writer(engine)
        return cls(writer, open_reading_engine(url, mapped=False))

    async def aclose(self) -> None:
        """Write what was submitted, then let go. Closing twice is harmless."""
        await self._writer.aclose()
        self._reading.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- the dispatcher ---------------------------------------------------------------------------

    async def start_run(self, new: NewRun) -> Started:
        """Record a run and promise its first tasks; the same tenant and key start it only once.

        A run that was denied is recorded with its decision and gets no tasks. Raises IllegalRecord
        when a stage would fan out over the discoveries of several tasks, OverAllowance when its
        tenant's allowance has no room for it.
        """
        return await self._writer.submit(start.start_runs, new)

    async def admit_held(self, admission: Admission) -> State:
        """Start or end a run that was held, as it was decided again. Gives its state.

        Raises OverAllowance while there is no room for it, UnknownRow.
        """
        return await self._writer.submit(held_runs.admit, admission)

    async def held_runs(self, limit: int) -> list[HeldPlace]:
        """Held runs, the first `limit` of each tenant; by tenant, the oldest first."""

        def read() -> list[HeldPlace]:
            with self._reading.connect() as connection:
                return held_runs.held(connection, limit)

        return await asyncio.to_thread(read)

    async def held_run(self, place: HeldPlace) -> HeldRun | None:
        """What it takes to decide a held run again; None where it is held no more."""

        def read() -> HeldRun | None:
            with self._reading.connect() as connection:
                return held_runs.held_run(connection, place)

        return await asyncio.to_thread(read)

    async def cancel_run(
        self, run: str, actor: str, reason: str, now: datetime, *, force: bool = False
    ) -> cancel.Cancelled:
        """Cancel everything of a run that is not running, and ask what runs to stop.

        With `force`, what runs is ended here, whatever its workers do. Cancelling a closed run
        changes nothing. Raises UnknownRow.
        """
        return await self._writer.submit(
            cancel.cancel_runs,
            cancel.Cancel(run=run, actor=actor, reason=reason, now=now, force=force),
        )

    async def cancel_task(
        self, task: str, actor: str, reason: str, now: datetime, *, force: bool = False
    ) -> cancel.Cancelled:
        """Cancel one task, as `cancel_run` does; its run starts nothing more. Raises UnknownRow."""
        return await self._writer.submit(
            cancel.cancel_each,
            cancel.CancelTask(task=task, actor=actor, reason=reason, now=now, force=force),
        )

    async def redrive(
        self,
        task: str,
        actor: str,
        reason: str,
        now: datetime,
        *,
        attempt: int | None = None,
        edit: redrive.Edit | None = None,
    ) -> Recorded:
        """Promise another attempt at a failed, dead, denied or parked task, and open its run again.

        Tasks that were cancelled because of it wait again, once no other task of the run stands
        failed. `attempt`: the one that failed; `edit`: another payload for the new one. Raises
        UnknownRow, IllegalMove, MovedOn.
        """
        return await self._writer.submit(
            redrive.redrive_tasks,
            redrive.Redrive(
                task=task, actor=actor, reason=reason, now=now, attempt=attempt, edit=edit
            ),
        )

    async def start_redrive(self, new: NewRedrive) -> RedriveJob:
        """Choose what a redrive of many is to redrive; steps carry it out.

        The same job asked for again is given as it stands.
        """
        return await self._writer.submit(redrive_jobs.start_redrives, new)

    async def step_redrives(self, now: datetime, limit: int = redrive_jobs.STEP) -> Stepped:
        """Redrive up to `limit` items of the jobs that are running, each as fast as it may.

        Any number of processes may step; an item is redriven once.
        """
        return await self._writer.submit(
            redrive_jobs.step_redrives, redrive_jobs.Step(now=now, limit=limit)
        )

    async def ended_runs(self, before: datetime, limit: int) -> list[EndedRun]:
        """Up to `limit` runs that ended before a time, the oldest first."""
        return await asyncio.to_thread(archive.ended_runs, self._reading, before, limit)

    async def count_ended(self, before: datetime) -> tuple[int, int]:
        """How many runs ended before a time, and their tasks."""
        return await asyncio.to_thread(archive.count_ended, self._reading, before)

    def whole(self, runs: Sequence[EndedRun]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every row that hangs on these runs, with its table's name. Blocking."""
        return archive.whole(self._reading, runs)

    async def prune(
        self,
        runs: Sequence[EndedRun],
        *,
        archive_: ArtifactPointer,
        rows: int,
        now: datetime,
        actor: str,
    ) -> int:
        """Delete archived runs that still stand as they were archived; how many those were."""
        return await self._writer.submit(
            archive.prune,
            archive.Prune(runs=tuple(runs), archive=archive_, rows=rows, now=now, actor=actor),
        )

    async def any_redrive(self) -> bool:
        """Whether a redrive of many is running."""
        return await asyncio.to_thread(redrive_jobs.any_running, self._reading)

    async def any_without_fingerprint(self) -> bool:
        """Whether a dead letter has no fingerprint yet."""
        return await asyncio.to_thread(fingerprints.any_without, self._reading)

    async def fill_fingerprints(self, limit: int) -> int:
        """Give up to `limit` dead letters the fingerprint that an older writer left out; how many
        there were."""
        return await self._writer.submit(fingerprints.fill_each, limit)

    async def any_parked(self) -> bool:
        """Whether anything is parked whose kind a live worker knows."""
        return await asyncio.to_thread(take_up.any_parked, self._reading)

    async def take_up(self, now: datetime) -> take_up.TakenUp:
        """Promise parked tasks again whose kind a live worker knows; bounded per call."""
        return await self._writer.submit(take_up.take_up, take_up.TakeUp(now=now))

    async def aside(self, queue: str, sequence_number: int) -> AsideMessage | None:
        """A message that was not taken, unless it has been taken up since."""
        return await asyncio.to_thread(messages.aside, self._reading, queue, sequence_number)

    async def parked_messages(self, limit: int) -> list[AsideMessage]:
        """Parked messages of a kind that a live worker of their lane knows."""
        return await asyncio.to_thread(messages.parked_and_known, self._reading, limit)

    async def message_taken_up(self, taken: messages.MessageTakenUp) -> bool:
        """Note that a message went to its queue again; whether it stood as a dead letter."""
        return await self._writer.submit(messages.note_taken_up, taken)

    async def cancel_redrive(
        self, job: str, actor: str, now: datetime, reason: str = ""
    ) -> RedriveJob:
        """Let a job go no further. Cancelling twice is harmless. Raises UnknownRow, JobEnded."""
        return await self._writer.submit(
            redrive_jobs.cancel_redrives,
            redrive_jobs.CancelRedrive(job=job, actor=actor, now=now, reason=reason),
        )

    async def due_outbox(
        self, limit: int, older_than: datetime, run: str | None = None
    ) -> list[OutboxRow]:
        """Up to `limit` rows promised before `older_than` and not known to be relayed, in order;
        those of one run, where it is named."""
        return await asyncio.to_thread(outbox.due, self._reading, limit, older_than, run)

    async def mark_relayed(self, seqs: Sequence[int], now: datetime) -> None:
        """The bus has taken these rows. Marking twice is harmless."""
        await self._writer.submit(outbox.mark_relayed, outbox.Relayed(seqs=tuple(seqs), now=now))

    def put_relayed(self, seqs: Sequence[int], now: datetime) -> None:
        """As `mark_relayed`, without waiting."""
        self._writer.post(
            outbox.mark_relayed, outbox.Relayed(seqs=tuple(seqs), now=now), _not_noted
        )

    async def put_schedule(self, put: schedules.Put) -> schedules.ScheduleRow:
        """Add a schedule, or change one. The same again changes nothing."""
        return await self._writer.submit(schedules.put, put)

    async def switch_schedule(self, switch: schedules.Switch) -> bool:
        """Pause, resume or remove a schedule; whether that changed anything. Raises UnknownRow."""
        return await self._writer.submit(schedules.switch, switch)

    async def due_schedules(self, now: datetime, limit: int) -> list[schedules.ScheduleRow]:
        """Schedules whose next time has come, the earliest first."""
        return await asyncio.to_thread(schedules.due_now, self._reading, now, limit)

    async def note_fires(self, fires: schedules.Fires) -> int:
        """Note what became of scheduled times, each once, and move the schedule on."""
        return await self._writer.submit(schedules.note_fires, fires)

    async def pause(self, pause: pauses.Pause) -> bool:
        """Pause or resume a lane or a pipeline; whether that changed anything.

        Nothing of what is paused is claimed from then on. What runs goes on.
        """
        return await self._writer.submit(pauses.change, pause)

    @property
    def stalled(self) -> float:
        """Seconds that this process's writing has stood still: the database is locked, or slow."""
        return self._writer.stalled

    async def ping(self) -> None:
        """Return once the ledger can be written. Raises LedgerBusy."""
        await self._writer.submit(_nothing, None)

    async def flow(self, now: datetime) -> FlowView:
        """What is paused, and which lanes have tasks to be taken ahead of their queues."""
        return await asyncio.to_thread(outbox.flow, self._reading, now)

    async def ahead(self, lane: str, now: datetime, limit: int) -> list[Envelope]:
        """Tasks of a lane that are taken ahead of its queue, the most urgent first."""
        return await asyncio.to_thread(outbox.ahead, self._reading, lane, now, limit)

    async def wakeable(self, now: datetime) -> tuple[str, ...]:
        """Keys under which something was put off that may run now."""
        return await asyncio.to_thread(put_off.wakeable, self._reading, now)

    async def wake(self, keys: Sequence[str], now: datetime) -> Woken:
        """Promise what was put off under these keys and may run now; bounded per call."""
        return await self._writer.submit(put_off.wake, put_off.Wake(keys=tuple(keys), now=now))

    async def vote(self, vote: Vote) -> Voted:
        """Approve or refuse a held task or run. Raises UnknownRow, VoteRefused."""
        return await self._writer.submit(approvals.vote, vote)

    async def approvers(self, task: str, digest: str) -> tuple[str, ...]:
        """Who approved this digest of a task, once enough had."""
        return await asyncio.to_thread(approvals.approvers, self._reading, task, digest)

    async def sweep(
        self,
        now: datetime,
        rules: sweep.SweepRules = sweep.SweepRules(),  # noqa: B008 - frozen
        empty: frozenset[str] = frozenset(),
    ) -> Swept:
        """Move what nobody moves any more: expired leases, deadlines, lost messages, gone workers.

        Bounded per call and idempotent; any number of processes may sweep. `empty`: lanes whose
        queues were seen to hold nothing, so that their messages are lost with no worker at hand.
        """
        return await self._writer.submit(
            sweep.sweep, sweep.Sweep(now=now, rules=rules, empty=empty)
        )

    # --- a worker ---------------------------------------------------------------------------------

    async def claim(self, claim_: Claim) -> Claimed | NotClaimed:
        """Lease an attempt, when it is the promised one and nobody holds it."""
        return await self._writer.submit(claim.claim, claim_)

    async def renew(
        self, leases: Sequence[tuple[str, int]], lease_until: datetime, now: datetime
    ) -> frozenset[str]:
        """Extend leases, given as (task, epoch). Gives the tasks to stop: lost, or cancelled."""
        return await self._writer.submit(
            claim.renew, claim.Renewal(leases=tuple(leases), lease_until=lease_until, now=now)
        )

    async def record(self, record_: Record) -> Recorded:
        """Close, retry, release, hold or park an attempt, with all that follows, or nothing at all.

        Raises StaleEpoch, IllegalMove or IllegalRecord; then nothing was written.
        """
        return await self._writer.submit(record.record, record_)

    async def promise_anew(
        self, task: str, epoch: int, worker: str, now: datetime
    ) -> tuple[OutboxRow, ...]:
        """Promise a released task again whose message could not be handed back. Gives the rows to
        relay; none where somebody has taken the task up after all."""
        return await self._writer.submit(
            lost.promise_anew, lost.Lost(task=task, epoch=epoch, worker=worker, now=now)
        )

    def outputs_of(self, run: str, stage: str) -> Iterator[str]:
        """What the tasks of a stage made: pointers as JSON, ordered by partition, then name.

        Blocking, and never all in memory.
        """
        return gather.outputs_of(self._reading, run, stage)

    async def worker_seen(
        self, worker: str, lanes: Sequence[str], now: datetime, facts: Mapping[str, Any]
    ) -> bool:
        """A worker is alive and serves these lanes; whether it is to drain. `facts`: small JSON."""
        return await self._writer.submit(
            notes.see_workers,
            notes.Seen(worker=worker, lanes=tuple(lanes), now=now, facts=dict(facts)),
        )

    async def drain_worker(
        self, worker: str, actor: str, reason: str, now: datetime
    ) -> drains.Drained:
        """Ask a worker to stop, as SIGTERM does; twice is harmless.

        Raises UnknownRow, WorkerGone.
        """
        return await self._writer.submit(
            drains.drain_workers,
            drains.Drain(worker=worker, actor=actor, reason=reason, now=now),
        )

    # --- notes ------------------------------------------------------------------------------------

    async def dead_letter(self, letter: DeadLetter) -> None:
        """Note a message that could not be taken. The same message is noted once."""
        await self._writer.submit(notes.note_dead_letters, letter)

    async def add_spans(self, spans: Sequence[SpanRow]) -> None:
        """Add finished spans to the local trace store."""
        await self._writer.submit(add_spans, tuple(map(alone, spans)))

    def put_spans(self, spans: Sequence[FinishedSpan], lost: Callable[[Exception], None]) -> None:
        """As `add_spans`, from any thread and without waiting; `lost` is told why they are not
        there."""
        self._writer.post(add_spans, tuple(spans), lost)


def _not_noted(why: Exception) -> None:
    _log.warning("what was published is published again: %s", why)


def _nothing(_: Connection, asked: Sequence[None]) -> Sequence[None]:
    """Writes nothing; on SQLite its transaction still waits for whoever writes."""
    return asked
