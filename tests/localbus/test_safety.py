"""Who may come in, by which key, and how much one connection may take."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient

from localbus.amqp import performatives as p
from localbus.amqp.connection import Limits
from localbus.amqp.frames import HEADER_AMQP, frame
from localbus.amqp.message import render_response
from localbus.amqp.types import Described, Int, Symbol, Ulong
from localbus.sas import SasKeys, TokenRefused, sign
from localbus.server import RemoteNotAllowed
from localbus.testing import RunningBus, running_bus
from tests.localbus.conftest import QUEUE, loses_connections

KEYS = SasKeys({"owner": "c2VjcmV0"})
NOW_S = 1_700_000_000


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[RunningBus]:
    """A bus that checks keys."""
    with running_bus(tmp_path, queues=[QUEUE, "other"], sas_keys=KEYS) as running:
        yield running


def send(client: ServiceBusClient, queue: str = QUEUE) -> None:
    with client, client.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("x"))


# -- where it listens ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "somewhere.example"])
def test_only_loopback_unless_told(host: str) -> None:
    """An address that others could reach is refused before anything listens."""
    with pytest.raises(RemoteNotAllowed, match="loopback"), running_bus(host=host):
        pass


def test_remote_is_allowed_when_told() -> None:
    """With `allow_remote` it listens where it is told to."""
    with running_bus(host="0.0.0.0", allow_remote=True, queues=[QUEUE]) as bus:
        text = bus.connection_string.replace("0.0.0.0", "127.0.0.1")
        send(ServiceBusClient.from_connection_string(text))
        assert bus.counts(QUEUE)["active"] == 1


def test_the_command_refuses_with_a_line() -> None:
    """`--host 0.0.0.0` alone ends with code 1 and the name of the option that allows it."""
    ended = subprocess.run(
        [sys.executable, "-m", "localbus", "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert ended.returncode == 1
    assert "--allow-remote" in ended.stderr
    assert "Traceback" not in ended.stderr


# -- keys ------------------------------------------------------------------------------------------


def test_the_right_key_opens(locked: RunningBus) -> None:
    """A client with the key sends, receives and administers."""
    send(ServiceBusClient.from_connection_string(locked.connection_string))
    admin = ServiceBusAdministrationClient.from_connection_string(
        locked.admin_connection_string, connection_verify=locked.certificate
    )
    with admin:
        found = admin.get_queue_runtime_properties(QUEUE)

    assert found.active_message_count == 1


@pytest.mark.parametrize(("name", "key"), [("owner", "wrong"), ("nobody", "c2VjcmV0")])
def test_a_wrong_key_is_refused(locked: RunningBus, name: str, key: str) -> None:
    """A wrong key, or a wrong name, raises what it raises against the service."""
    wrong = f"SharedAccessKeyName={name};SharedAccessKey={key};UseDevelopmentEmulator=true;"
    client = ServiceBusClient.from_connection_string(
        f"Endpoint=sb://127.0.0.1:{locked.amqp_port};{wrong}", retry_total=0
    )
    admin = ServiceBusAdministrationClient.from_connection_string(
        f"Endpoint=sb://127.0.0.1:{locked.admin_port};{wrong}",
        connection_verify=locked.certificate,
    )

    with pytest.raises(ServiceBusAuthenticationError):
        send(client)
    with admin, pytest.raises(ClientAuthenticationError):
        admin.get_queue(QUEUE)
    assert locked.counts(QUEUE)["active"] == 0


def test_a_token_opens_what_it_is_for(locked: RunningBus) -> None:
    """A token for one queue opens that one and no other."""
    until = locked.clock.now_ms() // 1000 + 600
    resource = f"sb%3A%2F%2F127.0.0.1%2F{QUEUE}"
    signature = base64.b64encode(base64.b64decode(sign("c2VjcmV0", resource, until))).decode()
    quoted = signature.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    token = f"SharedAccessSignature sr={resource}&sig={quoted}&se={until}&skn=owner"

    def client() -> ServiceBusClient:
        return ServiceBusClient(
            f"127.0.0.1:{locked.amqp_port}",
            AzureSasCredential(token),
            use_tls=False,
            retry_total=0,
        )

    send(client())
    with pytest.raises(ServiceBusAuthenticationError):
        send(client(), "other")
    assert (locked.counts(QUEUE)["active"], locked.counts("other")["active"]) == (1, 0)


@loses_connections
def test_a_lapsed_token_ends_its_links(locked: RunningBus) -> None:
    """Once its token is over a link is closed as unauthorized; with a new token it goes on."""
    client = ServiceBusClient.from_connection_string(locked.connection_string, retry_total=0)
    with client, client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(ServiceBusMessage("x"))
        locked.clock.advance(3_700)
        with pytest.raises(ServiceBusError):
            sender.send_messages(ServiceBusMessage("y"))

    assert locked.counts(QUEUE)["active"] == 1


def test_a_link_without_a_token_is_refused(locked: RunningBus) -> None:
    """A peer that attaches without having put a token is told `amqp:unauthorized-access`."""
    heard = converse(locked, attach(0))

    assert b"amqp:unauthorized-access" in heard


def test_pages_need_the_key_too(locked: RunningBus) -> None:
    """The status page asks for the key; the health probe does not."""
    basic = base64.b64encode(b"owner:c2VjcmV0").decode()

    def status(path: str, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", locked.admin_http_port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    assert status("/", {}) == 401
    assert status("/metrics.json", {"authorization": "Basic bm9ib2R5Og=="}) == 401
    assert status("/", {"authorization": f"Basic {basic}"}) == 200
    assert status("/$health", {}) == 200


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "MalformedToken"),
        ("Bearer x", "MalformedToken"),
        ("SharedAccessSignature sr=x", "MalformedToken"),
        ("SharedAccessSignature sr=q&sig=x&se=soon&skn=owner", "MalformedToken"),
        (f"SharedAccessSignature sr=q&sig=x&se={NOW_S + 1}&skn=owner", "InvalidSignature"),
        (f"SharedAccessSignature sr=q&sig=x&se={NOW_S + 1}&skn=nobody", "InvalidSignature"),
        (
            f"SharedAccessSignature sr=q&sig={sign('c2VjcmV0', 'q', NOW_S)}&se={NOW_S}&skn=owner",
            "ExpiredToken",
        ),
        (
            f"SharedAccessSignature sr=qu&sig={sign('c2VjcmV0', 'qu', NOW_S + 1)}"
            f"&se={NOW_S + 1}&skn=owner",
            "InvalidAudience",
        ),
    ],
)
def test_a_token_that_proves_nothing_is_refused(token: str, words: str) -> None:
    """Each way in which a token can be wrong is refused in the service's words."""
    token = token.replace("+", "%2B") if "sr=q" in token else token
    with pytest.raises(TokenRefused, match=words):
        KEYS.grant(token, "sb://host/q", NOW_S * 1000)


def test_keys_are_given_on_the_command_line_or_in_the_environment(tmp_path: Path) -> None:
    """A key that is not NAME:KEY is refused with a line, wherever it comes from."""
    for arguments, variable in ((["--sas-key", "nameless"], ""), ([], "nameless")):
        ended = subprocess.run(
            [sys.executable, "-m", "localbus", "--port", "0", *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env={**os.environ, "LOCALBUS_SAS_KEY": variable},
        )
        assert ended.returncode == 1
        assert "NAME:KEY" in ended.stderr


# -- TLS -------------------------------------------------------------------------------------------


def test_amqp_inside_tls(tmp_path: Path) -> None:
    """With `tls` the SDK connects as to the service, and checks the certificate."""
    with running_bus(tmp_path, queues=[QUEUE], tls=True) as bus:

        def client(**options: Any) -> ServiceBusClient:
            return ServiceBusClient.from_connection_string(
                "Endpoint=sb://localbus.example/;SharedAccessKeyName=n;SharedAccessKey=k",
                custom_endpoint_address=f"sb://127.0.0.1:{bus.amqp_port}",
                transport_type=TransportType.Amqp,
                retry_total=0,
                **options,
            )

        send(client(connection_verify=bus.certificate))
        with pytest.raises(ServiceBusError):
            send(client())
        assert bus.counts(QUEUE)["active"] == 1


# -- bounds on one connection ----------------------------------------------------------------------

OPEN = HEADER_AMQP + frame(0, p.render(p.Open("greedy")))
BEGIN = frame(0, p.render(p.Begin(None, 0, 1000, 1000)))
SOURCE, TARGET = Described(Ulong(0x28), [QUEUE]), Described(Ulong(0x29), [QUEUE])
CLOSE = frame(0, p.render(p.Close()))


def attach(handle: int, **facts: Any) -> bytes:
    made = p.Attach(f"link {handle}", handle, False, 0, 0, SOURCE, TARGET)
    return frame(0, p.render(made._replace(**facts)))


def converse(bus: RunningBus, *frames: bytes) -> bytes:
    """What the bus answers to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", bus.amqp_port), timeout=10) as peer:
        peer.sendall(OPEN + BEGIN + b"".join(frames))
        heard = peer.recv(65_536)
        with suppress(ConnectionError):  # closed with bytes unread: what it said has come
            peer.sendall(CLOSE)
            while chunk := peer.recv(65_536):
                heard += chunk
        return heard


def bounded(**limits: int) -> Limits:
    return Limits(**limits)


def test_links_of_a_connection_are_bounded() -> None:
    """One link too many, in whatever session, ends the connection."""
    with running_bus(queues=[QUEUE], limits=bounded(links=3)) as bus:
        assert b"resource-limit" not in converse(bus, *map(attach, range(3)))
        assert b"resource-limit" in converse(bus, *map(attach, range(4)))


def test_an_attach_is_bounded() -> None:
    """An attach is kept while the link lives, so that a fat one is refused."""
    fat = {Symbol("padding"): "x" * 2_000}
    with running_bus(queues=[QUEUE], limits=bounded(attach_bytes=1_000)) as bus:
        assert b"resource-limit" not in converse(bus, attach(0))
        assert b"resource-limit" in converse(bus, attach(0, properties=fat))


def test_messages_that_do_not_end_are_bounded() -> None:
    """What is gathered of unfinished messages is bounded over all links of a connection."""
    beginnings = [
        frame(0, p.render(p.Transfer(handle, handle, b"t", more=True)) + b"x" * 30_000)
        for handle in range(12)
    ]
    links = list(map(attach, range(12)))
    with running_bus(queues=[QUEUE], limits=bounded(partial_bytes=100_000)) as bus:
        assert b"resource-limit" not in converse(bus, *links, *beginnings[:3])
        assert b"resource-limit" in converse(bus, *links, *beginnings)


def test_tokens_of_a_connection_are_bounded(locked: RunningBus) -> None:
    """A connection keeps a token for 1,024 resources; one for another is refused, a newer one for
    a resource it has is not."""
    until = locked.clock.now_ms() // 1000 + 600

    def put(number: int, name: str) -> bytes:
        resource = quote_plus(f"sb://127.0.0.1/{name}")
        signature = quote_plus(sign("c2VjcmV0", resource, until))
        token = f"SharedAccessSignature sr={resource}&sig={signature}&se={until}&skn=owner"
        facts = {"operation": "put-token", "type": "servicebus.windows.net:sastoken"}
        message = render_response(None, {**facts, "name": f"sb://127.0.0.1/{name}"}, token)
        return frame(0, p.render(p.Transfer(0, number, b"t", settled=True)) + message)

    node = Described(Ulong(0x28), ["$cbs"])
    answers = attach(1, role=True, source=node, target=Described(Ulong(0x29), ["here"]))
    credit = frame(0, p.render(p.Flow(None, 5_000, 0, 5_000, 1, 0, 5_000)))
    names = [*(f"q{number}" for number in range(1_025)), "q7"]

    heard = converse(
        locked,
        attach(0, target=Described(Ulong(0x29), ["$cbs"])) + answers + credit,
        *(put(number, name) for number, name in enumerate(names)),
    )

    assert heard.count(b"Accepted") == 1_025
    assert heard.count(b"QuotaExceeded") == 1


def test_answers_nobody_reads_are_bounded(bus: RunningBus, client: ServiceBusClient) -> None:
    """Small requests with large answers, asked for faster than they are read, end the link."""
    with client.get_queue_sender(QUEUE) as sender:
        for _ in range(5):
            sender.send_messages(ServiceBusMessage(b"x" * 200_000))
    node = f"{QUEUE}/$management"
    requests = attach(0, target=Described(Ulong(0x29), [node]))
    answers = attach(
        1,
        role=True,
        source=Described(Ulong(0x28), [node]),
        target=Described(Ulong(0x29), ["here"]),
    )
    peek = render_response(None, {"operation": "com.microsoft:peek-message"})
    body = {"from-sequence-number": 1, "message-count": Int(100)}
    whole = peek.rpartition(b"\x00\x53\x77")[0] + _value(body)
    asked = [
        frame(0, p.render(p.Transfer(0, number, b"t", settled=True)) + whole)
        for number in range(100)
    ]

    heard = converse(bus, requests, answers, *asked)

    assert b"resource-limit" in heard
    assert len(heard) < 10 << 20


def _value(value: object) -> bytes:
    return render_response(None, {}, value)[len(render_response(None, {}, None)) - 1 - 3 :]
