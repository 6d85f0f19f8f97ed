"""What operators ask of dead letters: groups, redrives of many, another payload for one.

Everything asked is answered from the ledger and carried out there; `Redriver` works jobs off.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field, JsonValue

from contracts.fact import Fact, JsonObject, StrictFact
from contracts.ids import run_id
from contracts.payload import PayloadRegistry
from contracts.request import Requester
from dispatcher.payload_edit import check, difference, edited
from dispatcher.relay import Hurry
from dispatcher.secrets_given import refuse_secrets
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.redrive import Edit
from fleet.ledger.rows import (
    DeadGroup,
    NewRedrive,
    RedriveItem,
    RedriveJob,
    RedrivePreview,
    Selection,
)

CHANCE_BYTES = 10


class RedriveAsked(Selection):
    """Redrive tasks, a group, or everything. Exactly one of the three."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)
    per_second: int | None = Field(default=None, ge=1, le=100_000)
    """At most so many each second; absent means as fast as the ledger takes them."""
    dry_run: bool = False
    """Only say what would be redriven."""
    job: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    """The id that the job shall have: asking again with the same one starts no second job."""

    @property
    def selection(self) -> Selection:
        return Selection(tasks=self.tasks, group=self.group, everything=self.everything)


class RedriveAnswer(Fact):
    """The job that was started; or, of a dry run, what it would redrive."""

    dry_run: bool
    preview: RedrivePreview | None = None
    job: RedriveJob | None = None


class CancelAsked(StrictFact):
    """Who cancels a job, and why."""

    requester: Requester
    reason: str = Field(default="", max_length=1000)


class RetryAsked(StrictFact):
    """Try one task again, with its payload edited."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)
    set: dict[str, JsonValue] = Field(default={}, max_length=100)
    """New values by path: `{"parameters.client": "C-002"}`."""
    unset: tuple[str, ...] = Field(default=(), max_length=100)
    """Paths to leave out."""
    dry_run: bool = False


class RetryAnswer(Fact):
    """The attempt that was promised, and how its payload differs from the last one's."""

    task: str
    run: str
    dry_run: bool
    redrives: int
    """The attempt that had failed."""
    attempt: int
    edit: tuple[JsonObject, ...]
    payload: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrives:
    """Answers operators. All parts are shared and outlive it."""

    ledger: Ledger
    reader: LedgerReader
    registry: PayloadRegistry
    clock: Clock
    chance: Callable[[int], bytes]
    wake: Callable[[], None]
    """Told of a job that has just been started."""
    hurry: Hurry
    """Told of a run with an envelope to relay."""

    def groups(self, limit: int) -> list[DeadGroup]:
        """Dead letters by cause, the largest groups first."""
        return self.reader.dead_groups(self.clock.now(), limit)

    def job(self, prefix: str) -> RedriveJob:
        """Raises UnknownRow."""
        return self.reader.redrive(self.reader.find_redrive(prefix))

    def jobs(self, limit: int) -> list[RedriveJob]:
        """The newest first."""
        return self.reader.redrives(limit)

    def items(self, prefix: str, start: int, limit: int) -> list[RedriveItem]:
        """Raises UnknownRow."""
        return self.reader.redrive_items(self.reader.find_redrive(prefix), start, limit)

    async def ask(self, asked: RedriveAsked) -> RedriveAnswer:
        """Start a job, or say what it would redrive. Raises SecretGiven, the ledger's errors."""
        refuse_secrets(asked.model_dump(mode="json"))
        selection = await asyncio.to_thread(self._whole_ids, asked.selection)
        if asked.dry_run:
            preview = await asyncio.to_thread(self.reader.preview, selection)
            return RedriveAnswer(dry_run=True, preview=preview)
        now = self.clock.now()
        job = await self.ledger.start_redrive(
            NewRedrive(
                job=asked.job or run_id(now, self.chance(CHANCE_BYTES)),
                selection=selection,
                actor=asked.requester,
                reason=asked.reason,
                per_second=asked.per_second,
                now=now,
            )
        )
        self.wake()
        return RedriveAnswer(dry_run=False, job=job)

    async def cancel(self, prefix: str, asked: CancelAsked) -> RedriveJob:
        """Raises SecretGiven, UnknownRow, JobEnded."""
        refuse_secrets(asked.model_dump(mode="json"))
        job = await asyncio.to_thread(self.reader.find_redrive, prefix)
        return await self.ledger.cancel_redrive(
            job, asked.requester, self.clock.now(), asked.reason
        )

    async def retry(self, prefix: str, asked: RetryAsked) -> RetryAnswer:
        """Promise another attempt with an edited payload.

        Raises SecretGiven, EditRefused, UnknownRow, IllegalMove, MovedOn; then nothing was done.
        """
        refuse_secrets(asked.model_dump(mode="json"))
        task = await asyncio.to_thread(
            lambda: self.reader.task(self.reader.find_task(prefix)),
        )
        graph = await asyncio.to_thread(self.reader.graph, task.run)
        payload = edited(task.payload, asked.set, asked.unset)
        check(payload, task.kind, task.version, self.registry, graph.stage(task.stage).files)
        patch = difference(task.payload, payload)
        answer = RetryAnswer(
            task=task.task,
            run=task.run,
            dry_run=asked.dry_run,
            redrives=task.attempt,
            attempt=task.attempt + 1,
            edit=tuple(patch),
            payload=payload,
        )
        if not asked.dry_run:
            await self.ledger.redrive(
                task.task,
                asked.requester,
                asked.reason,
                self.clock.now(),
                attempt=task.attempt,
                edit=Edit(payload=payload, difference=patch) if patch else None,
            )
            self.hurry(task.run)
        return answer

    def _whole_ids(self, selection: Selection) -> Selection:
        """The same tasks by their whole ids. Raises UnknownRow for one that no task has."""
        if selection.tasks is None:
            return selection
        whole = tuple(
            task if len(task) == _WHOLE else self.reader.find_task(task) for task in selection.tasks
        )
        return Selection(tasks=whole)


_WHOLE = 36
"""Characters of an id."""
