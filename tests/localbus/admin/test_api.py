"""The management API through ServiceBusAdministrationClient, and over plain http."""

from __future__ import annotations

import http.client
import urllib.request
from datetime import timedelta

import pytest
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.management import ServiceBusAdministrationClient

from localbus.testing import RunningBus
from tests.localbus.conftest import QUEUE


def test_a_queue_is_created_as_asked(admin: ServiceBusAdministrationClient) -> None:
    """The properties given at creation are those of the queue from then on."""
    admin.create_queue(
        "made",
        lock_duration=timedelta(seconds=30),
        max_delivery_count=3,
        default_message_time_to_live=timedelta(days=2, seconds=1),
        dead_lettering_on_message_expiration=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window=timedelta(minutes=5),
        user_metadata="a <note> & more",
    )

    found = admin.get_queue("made")

    assert found.name == "made"
    assert found.lock_duration == timedelta(seconds=30)
    assert found.max_delivery_count == 3
    assert found.default_message_time_to_live == timedelta(days=2, seconds=1)
    assert found.dead_lettering_on_message_expiration is True
    assert found.requires_duplicate_detection is True
    assert found.duplicate_detection_history_time_window == timedelta(minutes=5)
    assert found.user_metadata == "a <note> & more"
    assert (found.status, found.availability_status) == ("Active", "Available")


def test_defaults_are_those_of_the_service(admin: ServiceBusAdministrationClient) -> None:
    """A queue created without properties has the service's defaults."""
    found = admin.create_queue("plain")

    assert found.lock_duration == timedelta(minutes=1)
    assert found.max_delivery_count == 10
    assert found.requires_session is False
    assert isinstance(found.default_message_time_to_live, timedelta)
    assert found.default_message_time_to_live > timedelta(days=10_000_000)


def test_runtime_properties_count_by_state(
    admin: ServiceBusAdministrationClient, client: ServiceBusClient, bus: RunningBus
) -> None:
    """Active, scheduled and dead-lettered messages are counted apart; the deferred are active."""
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages([ServiceBusMessage("x" * 100) for _ in range(5)])
    with client.get_queue_receiver(QUEUE, max_wait_time=5) as receiver:
        for settle in (
            receiver.dead_letter_message,
            receiver.defer_message,
            receiver.complete_message,
        ):
            settle(receiver.receive_messages()[0])

    found = admin.get_queue_runtime_properties(QUEUE)

    assert found.active_message_count == 3
    assert (found.dead_letter_message_count, found.scheduled_message_count) == (1, 0)
    assert found.total_message_count == 4
    assert found.size_in_bytes is not None
    assert found.size_in_bytes > 400
    assert found.created_at_utc is not None
    assert found.accessed_at_utc is not None
    assert found.accessed_at_utc >= found.created_at_utc


def test_queues_are_listed_over_pages(admin: ServiceBusAdministrationClient) -> None:
    """Listing gives every queue once, in order of name, however many pages it takes."""
    names = [f"q{number:03}" for number in range(120)]
    for name in names:
        admin.create_queue(name)

    assert [queue.name for queue in admin.list_queues()] == [QUEUE, *names]
    assert len(list(admin.list_queues_runtime_properties())) == 121


def test_a_queue_is_updated(admin: ServiceBusAdministrationClient) -> None:
    """An update changes the queue, and the next get says so."""
    queue = admin.get_queue(QUEUE)
    queue.max_delivery_count = 4
    queue.status = "ReceiveDisabled"

    admin.update_queue(queue)

    found = admin.get_queue(QUEUE)
    assert (found.max_delivery_count, found.status) == (4, "ReceiveDisabled")


def test_a_queue_is_deleted(admin: ServiceBusAdministrationClient) -> None:
    """A deleted queue is not found any more, by any request."""
    admin.delete_queue(QUEUE)

    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(QUEUE)
    with pytest.raises(ResourceNotFoundError):
        admin.delete_queue(QUEUE)
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue_runtime_properties(QUEUE)
    assert list(admin.list_queues()) == []


def test_creating_twice_is_a_conflict(admin: ServiceBusAdministrationClient) -> None:
    """A second creation under the same name, in any case, is refused."""
    with pytest.raises(ResourceExistsError):
        admin.create_queue(QUEUE.upper())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("a", {"lock_duration": timedelta(minutes=6)}),
        ("a", {"max_delivery_count": 0}),
        ("a", {"requires_session": True, "forward_to": QUEUE}),
        ("a", {"forward_to": "nowhere"}),
        ("a", {"user_metadata": "x" * 1025}),
        ("-", {}),
        ("a b", {}),
    ],
)
def test_what_cannot_be_is_refused(
    admin: ServiceBusAdministrationClient, name: str, wrong: dict[str, object]
) -> None:
    """Properties out of bounds, names that are none, and what localbus has not, get status 400."""
    with pytest.raises(HttpResponseError) as refused:
        admin.create_queue(name, **wrong)  # type: ignore[arg-type] # wrong on purpose

    assert refused.value.status_code == 400


def test_the_namespace_tells_its_name(admin: ServiceBusAdministrationClient) -> None:
    """Namespace information is there for tools that ask for it first."""
    found = admin.get_namespace_properties()

    assert (found.name, found.messaging_sku) == ("localbus", "Standard")


def test_what_is_fixed_at_creation_cannot_be_updated(admin: ServiceBusAdministrationClient) -> None:
    """Sessions and duplicate detection are chosen once; an update that changes them is refused."""
    queue = admin.get_queue(QUEUE)
    queue.requires_session = True

    with pytest.raises(HttpResponseError, match="RequiresSession"):
        admin.update_queue(queue)


def test_a_client_that_does_not_know_the_certificate_refuses(bus: RunningBus) -> None:
    """The admin API is behind real TLS: without the certificate no request is made."""
    with (
        ServiceBusAdministrationClient.from_connection_string(
            bus.admin_connection_string, retry_total=0
        ) as stranger,
        pytest.raises(ServiceRequestError),
    ):
        stranger.get_queue(QUEUE)


def test_plain_http_serves_the_same(bus: RunningBus) -> None:
    """Tools that speak plain http read the same entry."""
    url = f"http://127.0.0.1:{bus.admin_http_port}/{QUEUE}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()

    assert "<d2p1:ActiveMessageCount>0</d2p1:ActiveMessageCount>" in text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/x", b"", 405),
        ("PUT", "/x", b"no xml", 400),
        ("PUT", "/x", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", 400),
        ("PUT", "/x", b"<entry/>", 400),
        ("PUT", "/x", b"x" * (2 << 20), 413),
        ("GET", "/$Resources/queues?$top=many", b"", 400),
        ("GET", "/" + "x" * 20_000, b"", 431),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    bus: RunningBus, method: str, path: str, body: bytes, status: int
) -> None:
    """A bad request gets a status that says why, and the server goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", bus.admin_http_port, timeout=5)
    try:
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if status != 413:  # refused by its length, before it is read
            connection.send(body)
        assert connection.getresponse().status == status
    finally:
        connection.close()

    test_plain_http_serves_the_same(bus)
