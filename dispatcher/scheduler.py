"""The scheduler: asks for a run at each scheduled time, by the same way in as everybody.

The run's key is the schedule and the time, so that two dispatchers, or one that died between asking
and noting, come to one run. A time that a pipeline cannot be run at (its files are wrong, say) is
noted as refused, and the schedule goes on; a ledger that is away is waited for.
"""

import logging
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from contracts.request import RunAccepted
from contracts.schedule import Schedule, due, key_of
from dispatcher.faults import KeyConflict, PipelineRefused, PipelineUnknown, RequestRefused
from dispatcher.intake import Intake
from dispatcher.supervised import Supervised
from fleet.clock import Clock
from fleet.errors import FleetError
from fleet.ledger.ledger import Ledger
from fleet.ledger.schedules import Fire, Fires, ScheduleRow

EVERY = 1.0
"""Seconds between looks: one small query while nothing is due."""
LIMIT = 50
"""Schedules that one step fires."""
ACTOR = "scheduler"

_REFUSED = (PipelineUnknown, PipelineRefused, RequestRefused, ValidationError)
_log = logging.getLogger(__name__)


class Scheduler:
    """Fires what is due. Any number of processes may."""

    def __init__(self, intake: Intake, ledger: Ledger, clock: Clock, every: float = EVERY) -> None:
        self._intake, self._ledger, self._clock = intake, ledger, clock
        self.loop = Supervised("scheduler", self.step, every)

    async def step(self) -> bool:
        """Fire a bounded number; whether more may be due. Raises what the last that failed did."""
        now = self._clock.now()
        rows = await self._ledger.due_schedules(now, LIMIT)
        failed: Exception | None = None
        for row in rows:
            try:
                await self._fire_due(row, now)
            except (FleetError, SQLAlchemyError, OSError) as cause:
                _log.warning("schedule %s: %s", row.schedule.name, cause)
                failed = cause
        if failed is not None:
            raise failed
        return len(rows) == LIMIT

    async def _fire_due(self, row: ScheduleRow, now: datetime) -> None:
        assert row.next_fire is not None, "only such are due"
        schedule, decided = row.schedule, due(row.schedule, row.next_fire, now)
        fires = [await self.fire(schedule, at) for at in decided.fire]
        if decided.skipped and decided.fire[:1] != (row.next_fire,):
            more = "" if decided.skipped == 1 else f", and {decided.skipped - 1} later"
            words = f"missed{more}; {schedule.catch_up}"
            fires.append(Fire(at=row.next_fire, outcome="skipped", actor=ACTOR, detail=words))
        await self._ledger.note_fires(
            Fires(
                name=schedule.name,
                fires=tuple(fires),
                now=now,
                moves=(row.revision, row.next_fire, decided.next),
            )
        )
        for fire in fires:
            _log.info("schedule %s, %s: %s", schedule.name, fire.at.isoformat(), fire.outcome)

    async def fire(self, schedule: Schedule, at: datetime) -> Fire:
        """Ask for the run of one scheduled time. Raises what the ledger and the store do."""
        try:
            accepted = await self._asked(schedule, at)
        except _REFUSED as cause:
            return Fire(at=at, outcome="refused", actor=ACTOR, detail=str(cause)[:1000])
        return Fire(at=at, outcome="started", actor=ACTOR, run=accepted)

    async def _asked(self, schedule: Schedule, at: datetime) -> str:
        try:
            accepted: RunAccepted = await self._intake.accept(
                schedule.request(at, key_of(schedule.name, at))
            )
        except KeyConflict as known:
            # The schedule was changed after another dispatcher had asked: the time has its run.
            return known.run
        return accepted.run
