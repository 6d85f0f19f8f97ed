"""Messages that the broker set aside by itself, on a real bus and a real ledger."""

from pathlib import Path

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from dispatcher.intake import Intake
from dispatcher.quarantine import Quarantine
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.bus.refusal import DROPPED
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


async def test_a_dead_letter_that_holds_a_secret_is_noted_and_dropped(
    tmp_path: Path, ledger: Ledger, reader: LedgerReader, store: FolderStore, clock: Hands
) -> None:
    """Whoever set it aside: the ledger says so, and no byte of it is left in the bus's files."""
    secret = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.CaNaRyCaNaRyCaNaRy"
    with running_bus(tmp_path / "bus") as broker:
        broker.create_queue(_LANE)
        async with (
            open_bus(broker.connection_string, store) as bus,
            ServiceBusClient.from_connection_string(broker.connection_string) as client,
            client.get_queue_sender(_LANE) as sender,
            client.get_queue_receiver(_LANE) as receiver,
        ):
            for body in ("harmless", f'{{"note": "{secret}"}}', secret * 400):
                await sender.send_messages(ServiceBusMessage(body, message_id=f"m-{len(body)}"))
                (message,) = await receiver.receive_messages(1, max_wait_time=20)
                await receiver.dead_letter_message(message, reason="a peer's")

            await Quarantine(ledger, bus, clock, [_LANE]).step()

            (left,) = await bus.dead_lettered(_LANE, 0, 10)
    assert left.message.body == b"harmless"
    told = [row.description for row in reader.dead_letters() if row.description]
    assert [words.startswith(DROPPED) for words in told] == [True, True]
    files = [path for path in (tmp_path / "bus").rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if b"CaNaRy" in path.read_bytes()]
