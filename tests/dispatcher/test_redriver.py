"""The redriver, on a real ledger and a real bus."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from dispatcher.intake import Intake
from dispatcher.redriver import Redriver
from dispatcher.redrives import RedriveAsked, Redrives
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.errors import BusUnavailable
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import Hands
from tests.dispatcher.failing import failed_runs

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
        yield Redriver(ledger, bus, clock, every=3600)


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
