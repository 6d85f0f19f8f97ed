"""The dispatcher's relay and sweeper, on a real ledger and a real bus."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from azure.servicebus.aio import ServiceBusClient

from contracts.envelope import decoded
from contracts.states import State
from dispatcher.intake import DEFAULT_DEADLINE, Intake
from dispatcher.relay import PATIENCE, OutboxRelay
from dispatcher.sweeper import Sweeper
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.errors import BusUnavailable
from fleet.bus.message import from_sdk
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import Hands, a_request

_LANE = "lane-mirror"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus") as running:
        running.create_queue(_LANE, detect_duplicates=True)
        yield running


@pytest.fixture
async def relay(
    broker: RunningBus, ledger: Ledger, store: FolderStore, clock: Hands
) -> AsyncIterator[OutboxRelay]:
    async with open_bus(broker.connection_string, store) as bus:
        yield OutboxRelay(ledger, bus, clock, every=3600)


async def test_a_hurried_run_is_published_at_once(
    intake: Intake, relay: OutboxRelay, broker: RunningBus
) -> None:
    """The first envelopes of a new run do not wait for the relay's patience, and go once."""
    run = (await intake.accept(a_request())).run
    relay.hurry(run)

    more = await relay.step()
    await relay.step()

    assert more
    async with (
        ServiceBusClient.from_connection_string(broker.connection_string) as client,
        client.get_queue_receiver(_LANE) as receiver,
    ):
        [message] = await receiver.receive_messages(max_message_count=5, max_wait_time=20)
    envelope = decoded(from_sdk(message))
    assert (envelope.run, envelope.stage, envelope.attempt) == (run, "months", 1)


async def test_rows_that_are_handed_over_are_published_together(
    intake: Intake, relay: OutboxRelay, broker: RunningBus, ledger: Ledger, clock: Hands
) -> None:
    """Those of many new runs in one step, and each is noted."""
    straight = replace(intake, hurry=relay.hurry)
    for number in range(3):
        await straight.accept(a_request(parameters={"client": f"C-{number}"}))

    await relay.step()

    assert broker.counts(_LANE)["active"] == 3
    assert await ledger.due_outbox(10, clock.now() + timedelta(seconds=1)) == []


async def test_what_a_crash_left_is_published_after_a_moment(
    intake: Intake, relay: OutboxRelay, broker: RunningBus, clock: Hands
) -> None:
    """Not at once: the process that wrote it is left the time to relay it itself."""
    await intake.accept(a_request())

    await relay.step()
    too_early = broker.counts(_LANE)["active"]
    clock.advance(PATIENCE.total_seconds() + 1)
    await relay.step()

    assert (too_early, broker.counts(_LANE)["active"]) == (0, 1)


async def test_a_crash_before_the_note_publishes_twice_and_counts_once(
    intake: Intake, relay: OutboxRelay, ledger: Ledger, broker: RunningBus, clock: Hands
) -> None:
    """Message ids repeat, so the bus drops the duplicate."""
    await intake.accept(a_request())
    clock.advance(PATIENCE.total_seconds() + 1)
    rows = await ledger.due_outbox(10, clock.now())

    await relay.publish(rows)
    await relay.publish(rows)

    assert broker.counts(_LANE)["active"] == 1
    assert await ledger.due_outbox(10, clock.now()) == []


async def test_a_bus_that_is_away_costs_no_envelope(
    intake: Intake, relay: OutboxRelay, broker: RunningBus, clock: Hands
) -> None:
    """The step fails, the row stays due, and goes when the bus is back."""
    run = (await intake.accept(a_request())).run
    broker.delete_queue(_LANE)
    relay.hurry(run)
    with pytest.raises(BusUnavailable):
        await relay.step()

    broker.create_queue(_LANE)
    clock.advance(PATIENCE.total_seconds() + 1)
    await relay.step()

    assert broker.counts(_LANE)["active"] == 1


async def test_a_bus_that_is_busy_gets_bounded_batches_and_all_of_it_in_the_end(
    intake: Intake, relay: OutboxRelay, broker: RunningBus, clock: Hands
) -> None:
    """Throttled again and again: what was not taken stays due; nothing is sent twice over."""
    for number in range(5):
        await intake.accept(a_request(parameters={"client": f"C-{number}"}))
    rule = broker.fault("send", "throttle", times=4)
    clock.advance(PATIENCE.total_seconds() + 1)

    refused = 0
    while broker.counts(_LANE)["active"] < 5:
        try:
            await relay.step()
        except BusUnavailable:
            refused += 1

    assert broker.struck(rule) == 4
    assert refused >= 1
    assert broker.counts(_LANE)["active"] == 5


async def test_the_sweeper_closes_what_passed_its_deadline(
    intake: Intake, ledger: Ledger, reader: LedgerReader, clock: Hands
) -> None:
    """A run that nobody carries does not stay open for ever."""
    run = (await intake.accept(a_request())).run
    sweeper = Sweeper(ledger, clock, every=3600)

    before = await sweeper.step()
    clock.advance(DEFAULT_DEADLINE.total_seconds() + 1)
    while await sweeper.step():
        pass

    assert not before
    assert reader.run(run).state not in (State.RUNNING, State.SUCCEEDED)
