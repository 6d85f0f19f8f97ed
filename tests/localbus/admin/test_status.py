"""The status page and the metrics."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime, timedelta

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


def test_topics_are_counted_by_subscription(bus: RunningBus, client: ServiceBusClient) -> None:
    """The metrics show each topic with what is scheduled on it, and each of its subscriptions."""
    bus.create_topic("news")
    bus.create_subscription("news", "all")
    bus.create_subscription("news", "none", sql="1 = 0")
    with client.get_topic_sender("news") as sender:
        sender.send_messages([ServiceBusMessage("x"), ServiceBusMessage("y")])
        sender.schedule_messages(ServiceBusMessage("z"), datetime.now(UTC) + timedelta(hours=1))

    [topic] = json.loads(get(bus, "/metrics.json")[1])["topics"]

    assert (topic["name"], topic["status"], topic["scheduled"]) == ("news", "Active", 1)
    found = {each["name"]: each for each in topic["subscriptions"]}
    assert (found["all"]["active"], found["none"]["active"]) == (2, 0)
    assert found["all"]["size_bytes"] > 0


def test_the_page_shows_every_entity(bus: RunningBus) -> None:
    """The page names every queue, topic and subscription, runs no script and loads nothing from
    elsewhere."""
    bus.create_queue("other")
    bus.create_topic("news")
    bus.create_subscription("news", "all")

    kind, page = get(bus, "/")

    assert kind.startswith("text/html")
    for name in (QUEUE, "other", "news", "news/all"):
        assert f"<td>{name}</td>" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
