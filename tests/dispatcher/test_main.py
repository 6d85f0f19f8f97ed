"""The dispatcher's process: started, used, stopped."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from contracts.envelope import decoded
from contracts.request import REQUEST_TYPE
from fleet.bus.bus import INTAKE_QUEUE
from fleet.bus.message import from_sdk
from localbus.testing import RunningBus, running_bus
from tests.dispatcher.conftest import a_request
from tests.dispatcher.pipelines import a_folder

_LANE = "lane-mirror"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus", queues=[INTAKE_QUEUE, _LANE]) as running:
        yield running


@pytest.fixture
def variables(tmp_path: Path, broker: RunningBus) -> dict[str, str]:
    a_folder(tmp_path / "pipelines")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    return kept | {
        "FLEET_HOME": str(tmp_path / "home"),
        "FLEET_PIPELINES": str(tmp_path / "pipelines"),
        "FLEET_BUS_CONNECTION": broker.connection_string,
        "FLEET_HTTP_PORT": "0",
    }


async def _start(variables: dict[str, str], *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dispatcher", *arguments),
        env=variables,
        stdout=PIPE,
        stderr=PIPE,
    )


async def _until_it_says(process: Process, words: str) -> str:
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert line, f"it ended before it said {words!r}: {said}"
        said += line
    return said


@pytest.fixture
async def process(variables: dict[str, str], tmp_path: Path) -> AsyncIterator[Process]:
    running = await _start(variables, "--ready-file", str(tmp_path / "ready.json"))
    try:
        await _until_it_says(running, "listening")
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


@pytest.fixture
async def client(broker: RunningBus) -> AsyncIterator[ServiceBusClient]:
    async with ServiceBusClient.from_connection_string(broker.connection_string) as opened:
        yield opened


async def _published(client: ServiceBusClient) -> str:
    """The run of the next first envelope on the lane's queue."""
    async with client.get_queue_receiver(_LANE) as receiver:
        [message] = await receiver.receive_messages(max_message_count=1, max_wait_time=20)
        await receiver.complete_message(message)
    return decoded(from_sdk(message)).run


async def test_requests_of_both_ways_in_reach_the_lane(
    process: Process, client: ServiceBusClient, tmp_path: Path
) -> None:
    """The ready file tells the port; what comes over HTTP or the queue is published as tasks."""
    ready = json.loads((tmp_path / "ready.json").read_text())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ready['http_port']}") as http:
        body = a_request().model_dump(mode="json", exclude_none=True)
        accepted = (await http.post("/v1/runs", json=body)).json()
        over_http = await _published(client)
        async with client.get_queue_sender(INTAKE_QUEUE) as sender:
            attributes = {"specversion": "1.0", "type": REQUEST_TYPE, "id": "e-1", "source": "/it"}
            message = ServiceBusMessage(
                json.dumps(body),
                application_properties={f"cloudEvents:{k}": v for k, v in attributes.items()},
            )
            await sender.send_messages(message)
        over_the_queue = await _published(client)
        listed = (await http.get("/v1/runs")).json()
        readiness = await http.get("/readyz")

    assert ready["pid"] == process.pid
    assert over_http == accepted["run"]
    assert [row["run"] for row in listed] == [over_the_queue, over_http]
    assert readiness.status_code == 200


async def test_it_stops_when_told_however_often(process: Process) -> None:
    """A signal ends it with code 0 once it has closed what it opened; a second changes nothing."""
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)

    said = await _until_it_says(process, "stopped")
    code = await asyncio.wait_for(process.wait(), 20)

    assert code == 0
    assert "Traceback" not in said


async def test_it_says_why_it_cannot_start(variables: dict[str, str]) -> None:
    """Exit code 2 and a plain line, no stack: settings, rules or the address are wrong."""
    without_bus = {k: v for k, v in variables.items() if k != "FLEET_BUS_CONNECTION"}
    refused = [
        await _start(variables | {"FLEET_RELAY_EVERY": "-1", "FLEET_COLOUR": "red"}),
        await _start(without_bus),
        await _start(variables | {"FLEET_RULES": variables["FLEET_PIPELINES"]}),
    ]

    said = [(await process.communicate())[1].decode() for process in refused]

    assert [process.returncode for process in refused] == [2, 2, 2]
    assert "FLEET_RELAY_EVERY" in said[0]
    assert "FLEET_COLOUR" in said[0]
    assert "FLEET_BUS_CONNECTION is not set" in said[1]
    assert "the rules cannot be used" in said[2]
    assert not any("Traceback" in words for words in said)


async def test_help_shows_examples(variables: dict[str, str]) -> None:
    """What it does, its options, and commands to copy."""
    process = await _start(variables, "--help")

    out, _ = await process.communicate()

    assert process.returncode == 0
    assert "--ready-file" in out.decode()
    assert "python -m dispatcher" in out.decode()
