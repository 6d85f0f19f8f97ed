"""Messages that could not be taken, sent again, over a real bus."""

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from contracts.envelope import WireMessage
from contracts.request import REQUEST_TYPE
from dispatcher.faults import MessageGone
from dispatcher.payload_edit import EditRefused
from dispatcher.resend import ResendAsked, Resender
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import INTAKE_QUEUE, Bus, open_bus
from fleet.bus.message import from_sdk
from fleet.ledger.errors import UnknownRow
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import DeadLetter
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import Hands, a_request

_LANE = "lane-mirror"
_WHO = {"requester": "ana", "reason": "the sender left it out"}
_BODY = a_request().model_dump(mode="json", exclude_none=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus", queues=[INTAKE_QUEUE, _LANE]) as running:
        yield running


@pytest.fixture
async def bus(broker: RunningBus, store: FolderStore) -> AsyncIterator[Bus]:
    async with open_bus(broker.connection_string, store) as opened:
        yield opened


@pytest.fixture
def resender(ledger: Ledger, bus: Bus, clock: Hands) -> Resender:
    counter = itertools.count(1)
    return Resender(
        ledger=ledger,
        bus=bus,
        clock=clock,
        chance=lambda size: next(counter).to_bytes(size, "big"),
    )


@pytest.fixture
async def client(broker: RunningBus) -> AsyncIterator[ServiceBusClient]:
    async with ServiceBusClient.from_connection_string(broker.connection_string) as opened:
        yield opened


async def _refused(
    client: ServiceBusClient, ledger: Ledger, clock: Hands, body: bytes, count: int = 1
) -> list[int]:
    """The numbers of messages that were dead-lettered on the intake queue, and noted."""
    numbers = []
    async with (
        client.get_queue_sender(INTAKE_QUEUE) as sender,
        client.get_queue_receiver(INTAKE_QUEUE) as receiver,
    ):
        for number in range(count):
            properties: dict[str | bytes, int | float | bytes | bool | str | UUID] = {
                "cloudEvents:specversion": "1.0",
                "cloudEvents:type": REQUEST_TYPE,
                "cloudEvents:id": f"e{number}",
            }
            await sender.send_messages(
                ServiceBusMessage(body, message_id=f"m{number}", application_properties=properties)
            )
            [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
            await receiver.dead_letter_message(message, reason="malformed")
            numbers.append(message.sequence_number or 0)
            await _note(ledger, clock, INTAKE_QUEUE, numbers[-1], f"m{number}", "dead")
    return numbers


async def _note(
    ledger: Ledger, clock: Hands, queue: str, number: int, message_id: str, disposition: str
) -> None:
    parked = {"kind": "mirror.new", "version": 2} if disposition == "parked" else {}
    await ledger.dead_letter(
        DeadLetter.model_validate(
            {
                "queue": queue,
                "message_id": message_id,
                "sequence_number": number,
                "disposition": disposition,
                "reason": "odd",
                "description": "it could not be taken",
                "size": 1,
                "at": clock.now(),
                **parked,
            }
        )
    )


async def _next(client: ServiceBusClient, queue: str) -> WireMessage:
    async with client.get_queue_receiver(queue) as receiver:
        [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
        await receiver.complete_message(message)
    return from_sdk(message)


async def test_a_request_is_sent_again_with_what_was_missing(
    client: ServiceBusClient,
    broker: RunningBus,
    ledger: Ledger,
    reader: LedgerReader,
    resender: Resender,
    clock: Hands,
) -> None:
    """From the middle of the dead-letter queue; the others stay, and who and why is kept."""
    without = json.dumps({k: v for k, v in _BODY.items() if k != "scope"}).encode()
    numbers = await _refused(client, ledger, clock, without, count=3)
    asked = ResendAsked.model_validate(_WHO | {"set": {"scope": {"tenant": "acme"}}})

    looked = await resender.resend(
        INTAKE_QUEUE, numbers[1], asked.model_copy(update={"dry_run": True})
    )
    answer = await resender.resend(INTAKE_QUEUE, numbers[1], asked)

    again = await _next(client, INTAKE_QUEUE)
    change = {"op": "add", "path": "/body/scope", "value": {"tenant": "acme"}}
    assert looked.edit == answer.edit == (change,)
    assert json.loads(again.body)["scope"] == {"tenant": "acme"}
    assert (again.message_id, again.properties["cloudEvents:id"]) == (answer.became, "e1")
    assert broker.counts(INTAKE_QUEUE)["dead_letter"] == 2
    assert {row.id for row in reader.dead_letters()} == {
        f"{INTAKE_QUEUE}/{numbers[0]}",
        f"{INTAKE_QUEUE}/{numbers[2]}",
    }
    [job] = reader.redrives()
    assert (job.actor, job.reason, job.redriven) == ("ana", "the sender left it out", 1)
    [item] = reader.redrive_items(job.job)
    assert (item.queue, item.sequence_number, item.became) == (
        INTAKE_QUEUE,
        numbers[1],
        answer.became,
    )
    assert json.dumps(change, separators=(",", ":")) in str(item.note)


async def test_what_would_not_be_taken_again_is_not_sent(
    client: ServiceBusClient,
    broker: RunningBus,
    ledger: Ledger,
    resender: Resender,
    clock: Hands,
) -> None:
    """Unchanged, changed wrongly, or no JSON to change: it stays on the dead-letter queue."""
    [number] = await _refused(client, ledger, clock, b"no json")
    for change, words in (
        ({}, "nothing is changed"),
        ({"set": {"requester": "ana"}}, "no JSON object"),
        ({"body": {"pipeline": "monthly"}}, "would not be taken: scope"),
    ):
        with pytest.raises(EditRefused, match=words):
            await resender.resend(INTAKE_QUEUE, number, ResendAsked.model_validate(_WHO | change))

    counts = broker.counts(INTAKE_QUEUE)
    answer = await resender.resend(
        INTAKE_QUEUE, number, ResendAsked.model_validate(_WHO | {"body": _BODY})
    )

    assert (counts["active"], counts["dead_letter"]) == (0, 1)
    assert answer.edit[0]["was"] == "no json"
    assert json.loads((await _next(client, INTAKE_QUEUE)).body) == _BODY


async def test_what_is_not_there_is_said_so(
    client: ServiceBusClient, ledger: Ledger, resender: Resender, clock: Hands
) -> None:
    """Never noted, sent again already, or dropped from the bus by somebody else."""
    numbers = await _refused(client, ledger, clock, b"{}", count=2)
    asked = ResendAsked.model_validate(_WHO | {"body": _BODY})
    await resender.resend(INTAKE_QUEUE, numbers[0], asked)
    async with client.get_queue_receiver(
        INTAKE_QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER
    ) as receiver:
        [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
        await receiver.complete_message(message)

    for number, fault in ((999, UnknownRow), (numbers[0], UnknownRow), (numbers[1], MessageGone)):
        with pytest.raises(fault):
            await resender.resend(INTAKE_QUEUE, number, asked)


async def test_a_parked_message_is_sent_again_when_its_kind_is_known(
    client: ServiceBusClient,
    broker: RunningBus,
    ledger: Ledger,
    reader: LedgerReader,
    resender: Resender,
    clock: Hands,
) -> None:
    """By its number, as it was; one that is not on the bus any more is noted as gone."""
    async with (
        client.get_queue_sender(_LANE) as sender,
        client.get_queue_receiver(_LANE) as receiver,
    ):
        await sender.send_messages(ServiceBusMessage(b"as it was", message_id="m"))
        [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
        await receiver.defer_message(message)
    number = message.sequence_number or 0
    await _note(ledger, clock, _LANE, number, "m", "parked")
    await _note(ledger, clock, _LANE, 999, "gone", "parked")

    await resender.take_up_parked()
    before = len(reader.dead_letters())
    await ledger.worker_seen("new", ["mirror"], clock.now(), {"kinds": ["mirror.new.v2"]})
    await resender.take_up_parked()
    await resender.take_up_parked()

    again = await _next(client, _LANE)
    assert (again.message_id, again.body) == (f"m:again:{number}", b"as it was")
    assert broker.counts(_LANE) == {"active": 0, "deferred": 0, "scheduled": 0, "dead_letter": 0}
    assert (before, reader.dead_letters()) == (2, [])
    assert sorted((job.redriven, job.refused) for job in reader.redrives()) == [(0, 1), (1, 0)]
