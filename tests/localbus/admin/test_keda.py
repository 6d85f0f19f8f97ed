"""What KEDA's azure-servicebus scaler asks of the admin API, by its own requests over https.

The scaler (pkg/scalers/azure_servicebus_scaler.go) reads the active messages through Go's azadmin,
which wants each field below in the entry and every time in RFC 3339.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen
from xml.etree import ElementTree as ET

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from localbus.testing import RunningBus

_ATOM = "{http://www.w3.org/2005/Atom}"
_BUS = "{http://schemas.microsoft.com/netservices/2010/10/servicebus/connect}"
_COUNTS = "{http://schemas.microsoft.com/netservices/2011/06/servicebus}"


def entries(bus: RunningBus, path: str) -> list[ET.Element]:
    """What the scaler gets: one entry, or those of a feed."""
    request = Request(
        f"https://localhost:{bus.admin_port}/{path}api-version=2021-05",
        headers={"Authorization": "SharedAccessSignature sr=x&sig=x&se=9999999999&skn=n"},
    )
    trusted = ssl.create_default_context(cafile=str(bus.certificate))
    with urlopen(request, context=trusted, timeout=30) as response:
        root = ET.fromstring(response.read())
    return [root] if root.tag == f"{_ATOM}entry" else root.findall(f"{_ATOM}entry")


def active(entry: ET.Element) -> int:
    """The active messages of an entry, read as azadmin reads them: a missing field is an error."""
    [description] = entry.findall(f"{_ATOM}content/*")
    for name in ("CreatedAt", "UpdatedAt", "AccessedAt"):
        time = description.findtext(f"{_BUS}{name}")
        assert time is not None, name
        assert datetime.fromisoformat(time).tzinfo is not None
    count = description.findtext(f"{_BUS}CountDetails/{_COUNTS}ActiveMessageCount")
    assert count is not None
    return int(count)


@pytest.mark.parametrize(
    ("entity", "path"),
    [("orders", "orders?"), ("news", "news/Subscriptions/all?")],
)
def test_the_scaler_reads_active_messages(
    bus: RunningBus, client: ServiceBusClient, entity: str, path: str
) -> None:
    """Messages that are locked count as active, those that wait for their time or are
    dead-lettered do not."""
    bus.create_topic("news")
    bus.create_subscription("news", "all")
    reading = (
        client.get_queue_receiver("orders")
        if entity == "orders"
        else client.get_subscription_receiver("news", "all")
    )
    sending = (
        client.get_queue_sender("orders") if entity == "orders" else client.get_topic_sender("news")
    )

    with sending as sender, reading as receiver:
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
        sender.schedule_messages(ServiceBusMessage("later"), datetime.now(UTC) + timedelta(days=1))
        dead, _locked = receiver.receive_messages(2, max_wait_time=30)
        receiver.dead_letter_message(dead)

        [entry] = entries(bus, path)

    assert active(entry) == 4


def test_the_scaler_lists_queues_for_its_pattern(bus: RunningBus) -> None:
    """With `useRegex` the scaler pages through all queues, named by their titles."""
    bus.create_queue("orders-b")

    listed = entries(bus, "$Resources/Queues?&$top=100&$skip=0&")

    assert [entry.findtext(f"{_ATOM}title") for entry in listed] == ["orders", "orders-b"]
    assert [active(entry) for entry in listed] == [0, 0]
