"""What operators ask of the flow: pause a lane or a pipeline, resume it, see who waits for what."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import Field

from contracts.fact import Fact, StrictFact
from contracts.lane import LaneTable
from contracts.request import Requester
from dispatcher.faults import LaneUnknown
from dispatcher.pipeline_folder import PipelineFolders
from dispatcher.secrets_given import refuse_secrets
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause, What
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import AuditRow, PauseRow, SlotRow


class PauseAsked(StrictFact):
    """Who pauses or resumes, and why."""

    requester: Requester
    reason: str = Field(min_length=1, max_length=1000)


class PauseAnswer(Fact):
    """How it stands now."""

    what: What
    name: str
    paused: bool
    changed: bool
    """False where it stood so already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowControl:
    """Answers operators. All parts are shared and outlive it."""

    ledger: Ledger
    reader: LedgerReader
    lanes: LaneTable
    pipelines: PipelineFolders
    clock: Clock
    wake: Callable[[], None]
    """Told of a pause that has ended, so that what it kept goes on at once."""

    async def pause(self, what: What, name: str, asked: PauseAsked) -> PauseAnswer:
        """Let nothing more of it start. Raises SecretGiven, LaneUnknown,
        PipelineUnknown."""
        refuse_secrets(asked.model_dump(mode="json"))
        await asyncio.to_thread(self._check, what, name)
        return await self._change(what, name, asked, resume=False)

    async def resume(self, what: What, name: str, asked: PauseAsked) -> PauseAnswer:
        """Let it go on; also one whose lane or pipeline is no longer known here. Raises
        SecretGiven."""
        refuse_secrets(asked.model_dump(mode="json"))
        answer = await self._change(what, name, asked, resume=True)
        self.wake()
        return answer

    async def _change(
        self, what: What, name: str, asked: PauseAsked, *, resume: bool
    ) -> PauseAnswer:
        changed = await self.ledger.pause(
            Pause(
                what=what,
                name=name,
                resume=resume,
                actor=asked.requester,
                reason=asked.reason,
                now=self.clock.now(),
            )
        )
        return PauseAnswer(what=what, name=name, paused=not resume, changed=changed)

    def _check(self, what: What, name: str) -> None:
        if what == "pipeline":
            self.pipelines.require(name)
        elif name not in {lane.name for lane in self.lanes}:
            raise LaneUnknown(name, [lane.name for lane in self.lanes])

    def pauses(self) -> list[PauseRow]:
        return self.reader.pauses()

    def history(self, what: What, name: str | None, limit: int) -> list[AuditRow]:
        return self.reader.audit(what, name, limit)

    def slots(self, limit: int) -> list[SlotRow]:
        return self.reader.slots(limit)
