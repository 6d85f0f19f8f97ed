"""Messages that the broker set aside by itself, on a real bus and a real ledger."""

from pathlib import Path

from azure.servicebus.aio import ServiceBusClient

from dispatcher.intake import Intake
from dispatcher.quarantine import Quarantine
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.relay import relay
from localbus.testing import running_bus
from tests.dispatcher.conftest import Hands, a_request

_LANE = "lane-mirror"
_MOST = 3


async def test_a_message_that_came_too_often_is_noted_once(
    tmp_path: Path,
    intake: Intake,
    ledger: Ledger,
    reader: LedgerReader,
    store: FolderStore,
    clock: Hands,
) -> None:
    """Nobody could take it or say why: the dead-letter queue is looked at, and people are told."""
    await intake.accept(a_request())
    clock.advance(60)
    with running_bus(tmp_path / "bus") as broker:
        broker.create_queue(_LANE, max_delivery_count=_MOST)
        async with (
            open_bus(broker.connection_string, store) as bus,
            ServiceBusClient.from_connection_string(broker.connection_string) as client,
            client.get_queue_receiver(_LANE) as receiver,
        ):
            quarantine = Quarantine(ledger, bus, clock, [_LANE])
            await relay(await ledger.due_outbox(1, clock.now()), bus, ledger, clock)
            for _ in range(_MOST):
                (message,) = await receiver.receive_messages(1, max_wait_time=20)
                await receiver.abandon_message(message)

            await quarantine.step()
            await quarantine.step()
            await Quarantine(ledger, bus, clock, [_LANE]).step()

    (row,) = reader.dead_letters()
    assert (row.what, row.where, row.state) == ("message", _LANE, "dead")
    assert row.reason == "MaxDeliveryCountExceeded"
