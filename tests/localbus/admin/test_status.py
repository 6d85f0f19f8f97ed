"""The status page and the metrics."""

from __future__ import annotations

import http.client
import json

from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE


def get(bus: RunningBus, path: str) -> tuple[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", bus.admin_http_port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        return response.headers["content-type"], response.read().decode()
    finally:
        connection.close()


def test_metrics_tell_what_the_bus_holds(bus: RunningBus, client: ServiceBusClient) -> None:
    """The metrics count messages by state, receivers, connections, uptime and memory."""
    with client.get_queue_sender(QUEUE) as sender, client.get_queue_receiver(QUEUE) as receiver:
        sender.send_messages([ServiceBusMessage("x") for _ in range(3)])
        [dead, _locked] = [receiver.receive_messages(max_wait_time=5)[0] for _ in "ab"]
        receiver.dead_letter_message(dead)
        kind, text = get(bus, "/metrics.json")
    metrics = json.loads(text)
    [queue] = metrics["queues"]

    assert kind == "application/json"
    assert (queue["name"], queue["status"]) == (QUEUE, "Active")
    assert (queue["active"], queue["locked"], queue["dead_letter"]) == (2, 1, 1)
    assert queue["receivers"] == 1
    assert queue["size_bytes"] > 0
    assert metrics["connections"] == 2
    assert metrics["uptime_s"] > 0
    assert metrics["resident_bytes"] is None or metrics["resident_bytes"] > 1 << 20


def test_the_page_shows_the_queues(bus: RunningBus) -> None:
    """The page names every queue, runs no script and loads nothing from elsewhere."""
    bus.create_queue("other")

    kind, page = get(bus, "/")

    assert kind.startswith("text/html")
    assert QUEUE in page
    assert "other" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
