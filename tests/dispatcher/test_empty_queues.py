"""A queue that lost its messages, with nobody at work: on a real bus and a real ledger."""

from pathlib import Path

from azure.servicebus.aio import ServiceBusClient

from dispatcher.empty_queues import EmptyQueues
from dispatcher.intake import Intake
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.lanes import load_lanes
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.relay import relay
from localbus.testing import running_bus
from tests.dispatcher.conftest import Hands, a_request

_LANE = "lane-mirror"


async def test_what_a_lost_bus_held_is_sent_to_another(
    tmp_path: Path,
    intake: Intake,
    ledger: Ledger,
    reader: LedgerReader,
    store: FolderStore,
    clock: Hands,
) -> None:
    """As after the loss of a region, with every lane scaled to none: no worker lives to tell. While
    the message is on its queue, or locked, nothing is sent again, however long it takes."""
    await intake.accept(a_request())
    clock.advance(60)
    with running_bus(tmp_path / "first") as first:
        first.create_queue(_LANE)
        async with (
            open_bus(first.connection_string, store) as bus,
            ServiceBusClient.from_connection_string(first.connection_string) as client,
            client.get_queue_receiver(_LANE) as receiver,
        ):
            await relay(await ledger.due_outbox(1, clock.now()), bus, ledger, clock)
            clock.advance(3600)
            watch = EmptyQueues(ledger, reader, bus, clock, load_lanes())
            waiting = await watch.step()
            (message,) = await receiver.receive_messages(1, max_wait_time=20)
            locked = await watch.step()
            await receiver.abandon_message(message)

    with running_bus(tmp_path / "second") as second:
        second.create_queue(_LANE)
        async with open_bus(second.connection_string, store) as bus:
            lost = await EmptyQueues(ledger, reader, bus, clock, load_lanes()).step()
            clock.advance(60)
            await relay(await ledger.due_outbox(9, clock.now()), bus, ledger, clock)
            again = not await bus.is_empty(_LANE)

    assert (waiting, locked, lost, again) == (False, False, True, True)
