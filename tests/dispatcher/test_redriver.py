"""The redriver, on a real ledger and a real bus."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from contracts.fingerprint import LENGTH
from contracts.states import State
from dispatcher.intake import Intake
from dispatcher.redriver import LOOK_EVERY, Redriver
from dispatcher.redrives import RedriveAsked, Redrives
from dispatcher.resend import Resender
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.errors import BusUnavailable
from fleet.ledger import tables
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import Hands, a_request
from tests.dispatcher.failing import failed_runs, park_next

_LANE = "lane-mirror"
EVERYTHING = RedriveAsked(everything=True, requester="ana", reason="the source is back")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus") as running:
        running.create_queue(_LANE, detect_duplicates=True)
        yield running


@pytest.fixture
async def redriver(
    broker: RunningBus, ledger: Ledger, store: FolderStore, clock: Hands
) -> AsyncIterator[Redriver]:
    async with open_bus(broker.connection_string, store) as bus:
        resender = Resender(ledger=ledger, bus=bus, clock=clock, chance=os.urandom)
        yield Redriver(ledger, bus, clock, resender, every=3600)


async def test_what_is_redriven_is_published_at_once(
    intake: Intake,
    ledger: Ledger,
    redrives: Redrives,
    redriver: Redriver,
    reader: LedgerReader,
    broker: RunningBus,
    clock: Hands,
) -> None:
    """And then there is nothing more to do."""
    await failed_runs(intake, ledger, clock, 3)
    await redrives.ask(EVERYTHING)

    more = [await redriver.step(), await redriver.step()]

    assert more == [False, False]
    assert broker.counts(_LANE)["active"] == 3
    [job] = reader.redrives()
    assert (job.state, job.redriven) == ("done", 3)


async def test_a_bus_that_is_away_costs_no_redrive(
    intake: Intake,
    ledger: Ledger,
    redrives: Redrives,
    redriver: Redriver,
    reader: LedgerReader,
    broker: RunningBus,
    clock: Hands,
) -> None:
    """The step fails and is slowed down; what it promised stays due in the outbox."""
    tasks = await failed_runs(intake, ledger, clock, 2)
    await redrives.ask(EVERYTHING)
    broker.delete_queue(_LANE)

    with pytest.raises(BusUnavailable):
        await redriver.step()

    due = await ledger.due_outbox(10, clock.now().replace(year=2030))
    assert sorted(row.envelope.task for row in due) == sorted(tasks)
    assert {reader.task(task).attempt for task in tasks} == {2}


async def test_a_parked_task_goes_on_when_a_worker_knows_its_kind(
    intake: Intake,
    ledger: Ledger,
    redriver: Redriver,
    reader: LedgerReader,
    broker: RunningBus,
    clock: Hands,
) -> None:
    """Looked for every few seconds, published at once; nobody has to ask for it."""
    task = await park_next(ledger, clock, (await intake.accept(a_request())).run)
    await redriver.step()
    before = reader.task(task).state
    clock.advance(LOOK_EVERY.total_seconds() + 1)
    await ledger.worker_seen("new", ["mirror"], clock.now(), {"kinds": ["mirror.keys.v1"]})

    await redriver.step()

    assert (before, reader.task(task).state) == (State.PARKED, State.QUEUED)
    assert broker.counts(_LANE)["active"] == 1


async def test_what_an_older_worker_left_is_grouped(
    intake: Intake, ledger: Ledger, redriver: Redriver, reader: LedgerReader, clock: Hands
) -> None:
    """It writes no fingerprint; a step fills it in."""
    [task] = await failed_runs(intake, ledger, clock, 1)
    with ledger.engine.begin() as connection:
        connection.execute(update(tables.task).values(fingerprint=None))
    [before] = reader.dead_groups(clock.now())

    await redriver.step()

    [group] = reader.dead_groups(clock.now())
    assert (before.fingerprint, group.sample_id) == ("", task)
    assert len(group.fingerprint) == LENGTH
