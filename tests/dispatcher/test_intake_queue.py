"""The intake queue: requests from a plain Service Bus client, over a real bus."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from contracts.envelope import MalformedEnvelope, WireMessage
from contracts.request import REQUEST_TYPE
from dispatcher.intake import Intake
from dispatcher.intake_queue import IntakeQueue, read_request
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import INTAKE_QUEUE, open_bus
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import OutboxRow
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import Hands, a_request

_TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
_BODY = a_request().model_dump_json(exclude_none=True)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus", queues=[INTAKE_QUEUE]) as running:
        yield running


class _Started:
    """The runs that were started, to wait for."""

    def __init__(self) -> None:
        self._runs: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, run: str, _: Sequence[OutboxRow] = (), /) -> None:
        self._runs.put_nowait(run)

    async def next(self) -> str:
        return await asyncio.wait_for(self._runs.get(), 20)


Consuming = Callable[[], contextlib.AbstractAsyncContextManager[_Started]]


@pytest.fixture
def consuming(
    broker: RunningBus, intake: Intake, ledger: Ledger, store: FolderStore, clock: Hands
) -> Consuming:
    """A consumer at work on the queue, for the length of a block."""

    @contextlib.asynccontextmanager
    async def consume() -> AsyncIterator[_Started]:
        started, stop, provider = _Started(), asyncio.Event(), TracerProvider()
        async with open_bus(broker.connection_string, store) as bus:
            queue = IntakeQueue(
                intake=replace(intake, hurry=started),
                bus=bus,
                ledger=ledger,
                clock=clock,
                tracer=provider.get_tracer("dispatcher"),
                first_pause=0.01,
            )
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(queue.run(stop))
                yield started
                stop.set()
        provider.shutdown()

    return consume


@pytest.fixture
async def started(consuming: Consuming) -> AsyncIterator[_Started]:
    """A consumer at work for the whole test."""
    async with consuming() as started:
        yield started


@pytest.fixture
async def client(broker: RunningBus) -> AsyncIterator[ServiceBusClient]:
    async with ServiceBusClient.from_connection_string(broker.connection_string) as opened:
        yield opened


def _event(body: str | bytes = _BODY, **changes: str) -> ServiceBusMessage:
    attributes = {"specversion": "1.0", "type": REQUEST_TYPE, "id": "e-1", "source": "/it"}
    attributes |= changes
    named: dict[str | bytes, int | float | bytes | bool | str | UUID] = {
        f"cloudEvents:{name}": value for name, value in attributes.items() if value
    }
    return ServiceBusMessage(body, application_properties=named)


async def _send(client: ServiceBusClient, *messages: ServiceBusMessage) -> None:
    async with client.get_queue_sender(INTAKE_QUEUE) as sender:
        for message in messages:
            await sender.send_messages(message)


async def _dead(client: ServiceBusClient, count: int = 1) -> list[ServiceBusReceivedMessage]:
    """The dead-lettered messages, once there are so many."""
    found: list[ServiceBusReceivedMessage] = []
    async with client.get_queue_receiver(
        INTAKE_QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER
    ) as receiver:
        while len(found) < count:
            batch = await receiver.receive_messages(max_message_count=count, max_wait_time=20)
            assert batch, "nothing was dead-lettered"
            found += batch
    return found


async def test_an_event_starts_a_run(
    client: ServiceBusClient, started: _Started, reader: LedgerReader
) -> None:
    """From any client: the event's id is the key, and its trace is continued."""
    message = _event()
    assert message.application_properties is not None
    message.application_properties["Diagnostic-Id"] = _TRACE
    await _send(client, message)

    run = reader.run(await started.next())

    assert run.request.key == "e-1"
    assert run.trace_id == "a" * 32


async def test_the_other_prefix_of_the_binding_is_read_too(
    client: ServiceBusClient, started: _Started, reader: LedgerReader
) -> None:
    """JMS clients cannot write a colon in a property's name."""
    message = _event()
    assert message.application_properties is not None
    message.application_properties = {
        str(name).replace(":", "_"): value for name, value in message.application_properties.items()
    }
    await _send(client, message)

    assert reader.run(await started.next()).request.key == "e-1"


async def test_an_event_that_comes_twice_starts_one_run(
    client: ServiceBusClient, started: _Started, reader: LedgerReader
) -> None:
    """The second finds the first's run and is completed; another event is another run."""
    await _send(client, _event(), _event(), _event(id="e-2"))

    keys = {reader.run(await started.next()).request.key for _ in range(2)}

    assert keys == {"e-1", "e-2"}
    assert len(list(reader.runs())) == 2


async def test_what_was_taken_is_settled_before_it_stops(
    broker: RunningBus, client: ServiceBusClient, consuming: Consuming
) -> None:
    """A stopped dispatcher leaves nothing locked behind: each request is done or still queued."""
    async with consuming() as started:
        await _send(client, *(_event(id=f"e-{number}") for number in range(20)))
        for _ in range(20):
            await started.next()

    counts = broker.counts(INTAKE_QUEUE)
    assert (counts["active"], counts["dead_letter"]) == (0, 0)


_HOPELESS = [
    (_event(specversion=""), "malformed", "cloudEvents:specversion is missing"),
    (_event(type="leaf.run.request.v9"), "malformed", "not leaf.run.request.v1"),
    (_event(id=""), "malformed", "cloudEvents:id is missing"),
    (_event(id="k" * 200), "malformed", "key: String should match"),
    (_event("not json"), "malformed", "the body is not JSON"),
    (_event(b"\xff\x00"), "malformed", "the body is not JSON"),
    (_event("[" * 60_000), "malformed", "the body is not JSON"),
    (_event("[]"), "malformed", "not a JSON object"),
    (_event('{"pipeline": 5}'), "malformed", "pipeline: Input should be"),
    (_event(_BODY.replace('"C-1"', r'"\ud800"')), "malformed", "parameters: Value error"),
    (_event(_BODY.replace('"C-1"', r'{"\ud800": 1}')), "malformed", "parameters.client"),
    (_event(_BODY.replace('"client"', r'"\ud800"')), "malformed", "parameters: Value error"),
    (_event("x" * 100_000), "malformed", "the body has 100000 bytes"),
    (_event(_BODY.replace("monthly", "nothing")), "refused", "no pipeline named 'nothing'"),
    (_event(_BODY.replace("C-1", "c 1")), "refused", "line 5: parameter 'client' must match"),
    (ServiceBusMessage(b""), "malformed", "cloudEvents:specversion is missing"),
]


async def test_what_can_never_be_accepted_is_dead_lettered(
    client: ServiceBusClient, started: _Started, reader: LedgerReader
) -> None:
    """With a plain reason on the bus and in the ledger; the next request is taken as ever."""
    for number, (message, _, _) in enumerate(_HOPELESS):
        message.message_id = f"m-{number}"
    await _send(client, *(message for message, _, _ in _HOPELESS), _event(id="good"))

    dead = {message.message_id: message for message in await _dead(client, len(_HOPELESS))}
    run = await started.next()

    noted = {row.id.split("/")[1]: row for row in reader.dead_letters()}
    for number, (_, reason, told) in enumerate(_HOPELESS):
        message = dead[f"m-{number}"]
        row = noted[str(message.sequence_number)]
        assert (message.dead_letter_reason, row.reason, row.state) == (reason, reason, "dead")
        assert told in str(message.dead_letter_error_description)
        assert told in row.description
    assert reader.run(run).request.key == "good"


async def test_a_used_key_with_another_request_is_dead_lettered(
    client: ServiceBusClient, started: _Started
) -> None:
    """A mistake upstream is told to somebody, never swallowed."""
    await _send(client, _event())
    run = await started.next()
    await _send(client, _event(_BODY.replace("C-1", "C-2")))

    [dead] = await _dead(client)

    assert run in str(dead.dead_letter_error_description)


async def test_what_cannot_be_taken_now_comes_back(
    client: ServiceBusClient, started: _Started, store: FolderStore, tmp_path: Path
) -> None:
    """A store that fails costs the request nothing: it is delivered again until it is taken."""
    incoming = tmp_path / "artifacts" / "incoming"
    incoming.rename(tmp_path / "away")
    await _send(client, _event())
    async with client.get_queue_receiver(INTAKE_QUEUE) as receiver:
        while not any((seen.delivery_count or 0) > 1 for seen in await receiver.peek_messages(10)):
            pass

    (tmp_path / "away").rename(incoming)

    assert await started.next()


_scalars = st.text(max_size=20) | st.integers() | st.booleans()


@given(
    st.dictionaries(
        st.sampled_from([f"cloudEvents:{n}" for n in ("specversion", "type", "id", "x")])
        | st.text(max_size=9),
        st.sampled_from(["1.0", REQUEST_TYPE, "e-1", "", 7, True]) | _scalars,
    ),
    st.binary(max_size=60)
    | st.just(_BODY.encode())
    | st.dictionaries(st.sampled_from([*json.loads(_BODY), "key"]), _scalars).map(
        lambda body: json.dumps(body).encode()
    ),
)
def test_any_message_is_a_request_or_malformed(
    properties: Mapping[str, str | int | bool], body: bytes
) -> None:
    """Whatever a peer sends: a keyed request, or one plain reason."""
    message = WireMessage(message_id="m", properties=dict(properties), body=body)

    with contextlib.suppress(MalformedEnvelope):
        assert read_request(message).key
