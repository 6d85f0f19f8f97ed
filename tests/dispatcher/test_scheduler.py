"""Schedules: each scheduled time is one run, whoever fires it and whatever dies on the way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from contracts.schedule import Schedule
from dispatcher.faults import PipelineUnknown
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.scheduler import Scheduler
from dispatcher.schedules import Schedules, SwitchAsked
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.errors import LedgerBusy
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import ON_LOOPBACK, Hands

ANA = SwitchAsked(requester="ana", reason="holidays")


def a_schedule(**changes: Any) -> Schedule:
    """At every hour; the tests' clock begins at noon."""
    given = {
        "name": "hourly",
        "cron": "0 * * * *",
        "pipeline": "monthly",
        "parameters": {"client": "C-1"},
        "scope": {"tenant": "acme"},
        "requester": "ana",
    }
    return Schedule.model_validate(given | changes)


@pytest.fixture
def scheduler(intake: Intake, ledger: Ledger, clock: Hands) -> Scheduler:
    return Scheduler(intake, ledger, clock)


async def test_two_dispatchers_fire_a_time_once(
    address: str,
    intake: Intake,
    scheduler: Scheduler,
    schedules: Schedules,
    reader: LedgerReader,
    clock: Hands,
) -> None:
    """Each with its own connection to the ledger, at the same moment, over several hours."""
    await schedules.put(a_schedule(), "")
    async with await Ledger.open(address) as other_ledger:
        other = Scheduler(replace(intake, ledger=other_ledger), other_ledger, clock)
        for _ in range(3):
            clock.advance(3600)
            await asyncio.gather(scheduler.step(), other.step())

    runs = reader.runs()
    fires = reader.fires("hourly")
    assert len(runs) == 3
    assert [(fire.at.hour, fire.outcome) for fire in fires] == [
        (15, "started"),
        (14, "started"),
        (13, "started"),
    ]
    assert {fire.run for fire in fires} == {run.run for run in runs}


async def test_a_dispatcher_that_dies_before_it_notes_doubles_nothing(
    intake: Intake,
    ledger: Ledger,
    scheduler: Scheduler,
    schedules: Schedules,
    reader: LedgerReader,
    clock: Hands,
) -> None:
    """The run was asked for, the note was not written: the next one finds the run by its key."""
    await schedules.put(a_schedule(), "")
    clock.advance(3600)
    (row,) = await ledger.due_schedules(clock.now(), 1)
    assert row.next_fire is not None
    await scheduler.fire(row.schedule, row.next_fire)  # and then it died
    (before,) = reader.runs()

    await Scheduler(intake, ledger, clock).step()

    assert [run.run for run in reader.runs()] == [before.run]
    (fire,) = reader.fires("hourly")
    assert fire.run == before.run


async def test_missed_times_are_told_and_follow_the_rule(
    scheduler: Scheduler, schedules: Schedules, reader: LedgerReader, clock: Hands
) -> None:
    """Five hours without a dispatcher: one run for the latest, and the rest is on record."""
    await schedules.put(a_schedule(catch_up="once"), "")
    clock.advance(5 * 3600 + 600)

    await scheduler.step()
    await scheduler.step()

    latest, first = reader.fires("hourly")
    assert len(reader.runs()) == 1
    assert (latest.at.hour, latest.outcome) == (17, "started")
    assert (first.at.hour, first.outcome, first.detail) == (
        13,
        "skipped",
        "missed, and 3 later; once",
    )


async def test_a_paused_schedule_fires_nothing_and_makes_nothing_up(
    scheduler: Scheduler, schedules: Schedules, reader: LedgerReader, clock: Hands
) -> None:
    """But it can be triggered by hand; resumed, it goes on with its next time."""
    await schedules.put(a_schedule(catch_up="all"), "")
    await schedules.pause("hourly", ANA)
    clock.advance(3 * 3600)
    await scheduler.step()
    by_hand = await schedules.trigger("hourly", ANA)
    await schedules.resume("hourly", ANA)
    await scheduler.step()
    clock.advance(3600)
    await scheduler.step()

    fires = reader.fires("hourly")
    assert [fire.outcome for fire in fires] == ["started", "triggered"]
    assert (fires[1].run, fires[1].actor) == (by_hand.run, "ana")
    assert [row.action for row in reader.audit("schedule", "hourly")] == ["resume", "pause", "add"]


async def test_a_pipeline_that_has_gone_wrong_is_noted_and_the_schedule_goes_on(
    scheduler: Scheduler, schedules: Schedules, folder: Path, reader: LedgerReader, clock: Hands
) -> None:
    """It is not tried again for ever, and its next time comes."""
    await schedules.put(a_schedule(), "")
    hidden = await asyncio.to_thread(folder.rename, folder.with_name("gone"))
    clock.advance(3600)
    await scheduler.step()
    await asyncio.to_thread(hidden.rename, folder)
    clock.advance(3600)
    await scheduler.step()

    assert [fire.outcome for fire in reader.fires("hourly")] == ["started", "refused"]


async def test_a_ledger_that_is_away_loses_no_time(
    intake: Intake,
    scheduler: Scheduler,
    schedules: Schedules,
    reader: LedgerReader,
    ledger: Ledger,
    clock: Hands,
) -> None:
    """The time stays due, and fires when the ledger is back."""
    await schedules.put(a_schedule(), "")
    clock.advance(3600)
    away = Scheduler(replace(scheduler._intake, ledger=_Away()), ledger, clock)  # type: ignore[arg-type]

    with pytest.raises(LedgerBusy):
        await away.step()
    await scheduler.step()

    assert [fire.outcome for fire in reader.fires("hourly")] == ["started"]


class _Away:
    """A ledger that does not answer."""

    async def start_run(self, _: object) -> None:
        raise LedgerBusy("the database stayed locked")


async def test_a_changed_schedule_goes_by_its_new_times(
    scheduler: Scheduler, schedules: Schedules, reader: LedgerReader, clock: Hands
) -> None:
    """The same again is no change."""
    first = await schedules.put(a_schedule(), "")
    same = await schedules.put(a_schedule(), "")
    changed = await schedules.put(a_schedule(cron="30 12 * * *"), "earlier")
    clock.advance(1800)
    await scheduler.step()

    assert (first.revision, same.revision, changed.revision) == (1, 1, 2)
    assert [fire.at.minute for fire in reader.fires("hourly")] == [30]


async def test_what_could_never_run_is_not_scheduled(schedules: Schedules) -> None:
    """No such pipeline: said now, not in the night."""
    with pytest.raises(PipelineUnknown):
        await schedules.put(a_schedule(pipeline="weekly"), "")

    assert schedules.every() == []


@pytest.fixture
async def client(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
) -> AsyncIterator[httpx.AsyncClient]:
    site = HttpSite(
        intake=intake,
        redrives=redrives,
        resender=resender,
        flow=flow,
        schedules=schedules,
        pipelines=intake.pipelines,
        reader=reader,
        browser=browser,
        access=ON_LOOPBACK,
        tracer=TracerProvider().get_tracer("dispatcher"),
    )
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


async def test_schedules_over_http_from_adding_to_removing(client: httpx.AsyncClient) -> None:
    """What is wrong is told by field; what is removed keeps its history."""
    body = a_schedule().model_dump(mode="json")
    wrong = await client.put("/v1/schedules/hourly", json=body | {"cron": "every hour"})
    added = await client.put("/v1/schedules/hourly", json=body | {"reason": "month's end"})
    detail = (await client.get("/v1/schedules/hourly")).json()
    run = (await client.post("/v1/schedules/hourly/trigger", json={"requester": "bob"})).json()
    await client.post("/v1/schedules/hourly/pause", json={"requester": "bob"})
    (listed,) = (await client.get("/v1/schedules")).json()
    gone = await client.post("/v1/schedules/hourly/remove", json={"requester": "bob"})
    history = (await client.get("/v1/schedules/hourly/history")).json()
    unknown = await client.get("/v1/schedules/hourly")

    assert wrong.status_code == 422
    assert "cron" in wrong.json()["detail"]
    assert added.status_code == 200
    assert [time[11:16] for time in detail["coming"]] == [f"{hour}:00" for hour in range(13, 18)]
    assert listed["paused"]
    assert gone.json()["changed"]
    assert [(fire["outcome"], fire["run"]) for fire in history] == [("triggered", run["run"])]
    assert unknown.status_code == 404
