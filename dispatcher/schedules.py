"""What operators ask of schedules: add or change, remove, pause, resume, trigger, look."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from pydantic import AwareDatetime, Field

from contracts.fact import Fact, StrictFact
from contracts.request import Requester, RunAccepted
from contracts.schedule import Schedule
from dispatcher.intake import Intake
from dispatcher.secrets_given import refuse_secrets
from fleet.clock import Clock
from fleet.ledger.errors import UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import AuditRow
from fleet.ledger.schedules import Action, Fire, FireRow, Fires, Put, ScheduleRow, Switch

_COMING = 5
"""Times that are told in advance."""


class ScheduleAsked(Schedule):
    """A schedule as it shall be, and why."""

    reason: str = Field(default="", max_length=1000)

    @property
    def schedule(self) -> Schedule:
        return Schedule.model_validate(self.model_dump(exclude={"reason"}))


class SwitchAsked(StrictFact):
    """Who pauses, resumes, removes or triggers, and why."""

    requester: Requester
    reason: str = Field(default="", max_length=1000)


class ScheduleDetail(ScheduleRow):
    """A schedule with what comes and what was done to it."""

    coming: tuple[AwareDatetime, ...]
    """Its next times; none while it is paused."""
    changes: tuple[AuditRow, ...]


class SwitchAnswer(Fact):
    """How it stands now."""

    name: str
    action: str
    changed: bool
    """False where it stood so already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """Answers operators. All parts are shared and outlive it."""

    intake: Intake
    ledger: Ledger
    reader: LedgerReader
    clock: Clock

    async def put(self, asked: Schedule, reason: str) -> ScheduleRow:
        """Add or change. Raises PipelineUnknown, PipelineRefused, RequestRefused, SecretGiven: what
        could never be run is not scheduled."""
        refuse_secrets(asked.model_dump(mode="json") | {"reason": reason})
        now = self.clock.now()
        following = asked.next(now)
        await self.intake.check(asked.request(following or now, "check"))
        return await self.ledger.put_schedule(
            Put(schedule=asked, next_fire=following, actor=asked.requester, reason=reason, now=now)
        )

    async def pause(self, name: str, asked: SwitchAsked) -> SwitchAnswer:
        """Raises SecretGiven, UnknownRow."""
        return await self._switch(name, "pause", asked)

    async def resume(self, name: str, asked: SwitchAsked) -> SwitchAnswer:
        """Times that passed during the pause were not missed: nobody wanted them. Raises
        SecretGiven, UnknownRow."""
        refuse_secrets(asked.model_dump(mode="json"))
        row = await asyncio.to_thread(self.reader.schedule, name)
        following = row.schedule.next(self.clock.now())
        return await self._switch(name, "resume", asked, following)

    async def remove(self, name: str, asked: SwitchAsked) -> SwitchAnswer:
        """Its history stays. Raises SecretGiven, UnknownRow."""
        return await self._switch(name, "remove", asked)

    async def trigger(self, name: str, asked: SwitchAsked) -> RunAccepted:
        """A run now, beside the scheduled ones; also while it is paused. Raises SecretGiven,
        UnknownRow."""
        refuse_secrets(asked.model_dump(mode="json"))
        now = self.clock.now()
        schedule = (await asyncio.to_thread(self.reader.schedule, name)).schedule
        key = f"schedule:{name}:now:{now:%Y-%m-%dT%H:%M:%S.%fZ}"
        request = schedule.request(now, key).model_copy(update={"requester": asked.requester})
        accepted = await self.intake.accept(request)
        fire = Fire(
            at=now,
            outcome="triggered",
            actor=asked.requester,
            run=accepted.run,
            detail=asked.reason,
        )
        await self.ledger.note_fires(Fires(name=name, fires=(fire,), now=now))
        return accepted

    def every(self) -> list[ScheduleRow]:
        return self.reader.schedules()

    def detail(self, name: str) -> ScheduleDetail:
        """Raises UnknownRow."""
        row = self.reader.schedule(name)
        times = iter(()) if row.paused else row.schedule.times(self.clock.now())
        coming = tuple(at for _, at in zip(range(_COMING), times, strict=False))
        changes = tuple(self.reader.audit("schedule", name))
        return ScheduleDetail(**dict(row), coming=coming, changes=changes)

    def history(self, name: str, limit: int) -> list[FireRow]:
        """Also of one that was removed. Raises UnknownRow where there never was one."""
        fires = self.reader.fires(name, limit)
        if not fires and not self.reader.audit("schedule", name, 1):
            raise UnknownRow(f"there is no schedule {name!r}, and never was")
        return fires

    async def _switch(
        self, name: str, action: Action, asked: SwitchAsked, next_fire: datetime | None = None
    ) -> SwitchAnswer:
        refuse_secrets(asked.model_dump(mode="json"))
        switch = Switch(
            name=name,
            action=action,
            next_fire=next_fire,
            actor=asked.requester,
            reason=asked.reason,
            now=self.clock.now(),
        )
        changed = await self.ledger.switch_schedule(switch)
        return SwitchAnswer(name=name, action=action, changed=changed)
