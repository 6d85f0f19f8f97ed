"""The control API over plain http: what a test in another language drives."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusServerBusyError

from localbus.testing import RunningBus, running_bus
from tests.localbus.conftest import QUEUE


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path, queues=[QUEUE], control=True, seed=7) as running:
        yield running


def ask(
    bus: RunningBus, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", bus.admin_http_port, timeout=10)
    try:
        sent = {"content-type": "application/json", **headers}
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/$control{path}", data, sent)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_fault_is_asked_for_over_http(bus: RunningBus, client: ServiceBusClient) -> None:
    """A rule that is posted strikes, tells how often it did, and can be lifted."""
    status, made = ask(
        bus, "POST", "/faults", {"moment": "send", "fault": "throttle", "times": None}
    )
    with client.get_queue_sender(QUEUE) as sender:
        with pytest.raises(ServiceBusServerBusyError):
            sender.send_messages(ServiceBusMessage("x"))
        [rule] = ask(bus, "GET", "")[1]["faults"]
        assert ask(bus, "DELETE", f"/faults/{made['id']}")[0] == 200
        sender.send_messages(ServiceBusMessage("x"))

    assert status == 201
    assert (rule["id"], rule["struck"], rule["fault"]) == (made["id"], 1, "throttle")
    assert ask(bus, "DELETE", f"/faults/{made['id']}")[0] == 404


def test_the_clock_is_moved_over_http(bus: RunningBus, client: ServiceBusClient) -> None:
    """When the answer to an advance comes, what became due has been done."""
    with client.get_queue_sender(QUEUE) as sender, client.get_queue_receiver(QUEUE) as receiver:
        sender.send_messages(ServiceBusMessage("x"))
        [first] = receiver.receive_messages(max_wait_time=5)
        before = ask(bus, "GET", "")[1]["now_ms"]
        status, state = ask(bus, "POST", "/clock", {"advance_s": 61})
        [again] = receiver.receive_messages(max_wait_time=5)
        receiver.complete_message(again)

    assert status == 200
    assert state["now_ms"] - before >= 61_000
    assert again.sequence_number == first.sequence_number
    assert again.delivery_count == 1


def test_reset_lifts_everything(bus: RunningBus) -> None:
    """After a reset there are no rules, and the draw begins with the seed that was given."""
    assert ask(bus, "GET", "")[1]["seed"] == 7
    ask(bus, "POST", "/faults", {"moment": "connect", "fault": "refuse"})

    status, state = ask(bus, "POST", "/reset", {"seed": 11})

    assert (status, state["seed"], state["faults"]) == (200, 11, [])


def test_an_emptied_bus_has_the_machines_time_again(bus: RunningBus) -> None:
    """A reset that asks for it takes back what was added to the clock."""
    before = ask(bus, "POST", "/clock", {"advance_s": 3_600})[1]["now_ms"]

    after = ask(bus, "POST", "/reset", {"clock": True})[1]["now_ms"]

    assert after < before - 3_000_000


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("POST", "/faults", {"moment": "send"}, {}, 400),
        ("POST", "/faults", ["no", "object"], {}, 400),
        ("POST", "/clock", {"advance_s": -1}, {}, 400),
        ("POST", "/clock", {"advance_s": "soon"}, {}, 400),
        ("POST", "/nothing", {}, {}, 404),
        ("POST", "/clock", {"advance_s": 1}, {"content-type": "text/plain"}, 415),
        ("GET", "", None, {"host": "attacker.example"}, 403),
    ],
)
def test_what_cannot_be_done_is_refused(
    bus: RunningBus,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str],
    expected: int,
) -> None:
    """A mistake is answered with its reason, and a page of a foreign site with a refusal."""
    status, answer = ask(bus, method, path, body, **headers)

    assert status == expected
    assert answer["error"]


def test_it_is_off_by_default() -> None:
    """Without `control` nothing answers under /$control, and nothing is to go wrong."""
    with running_bus() as plain:
        connection = http.client.HTTPConnection("127.0.0.1", plain.admin_http_port, timeout=10)
        connection.request("POST", "/$control/clock", "{}", {"content-type": "application/json"})
        status = connection.getresponse().status
        connection.close()

    assert status in {404, 405}
