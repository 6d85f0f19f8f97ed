"""localbus as a running server: the bus, its AMQP listener and its admin listeners.

`serve` opens everything, yields where it listens, and closes everything in the reverse order:
no new connections, a goodbye to those there are, the last commit, the store.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from localbus.admin.api import AdminApi
from localbus.admin.control import ControlApi
from localbus.admin.http import AdminServer
from localbus.admin.site import Site
from localbus.admin.status import StatusPages
from localbus.amqp.connection import Limits
from localbus.amqp.outcomes import Error
from localbus.broker.entity import MessagingEntity
from localbus.bus import Bus
from localbus.certificate import ensure_certificate
from localbus.clock import Clock, DrivenClock, SystemClock
from localbus.faults import Faults
from localbus.peer import Peer
from localbus.sas import SasKeys
from localbus.store import Durability, Store
from localbus.topology import Topology, apply_topology

MESSAGES_FILE = "messages.db"
_STOP_AFTER_S = 2.0
_HANDSHAKE_S = 10.0


class RemoteNotAllowed(Exception):
    """The host is not a loopback address, and nobody said that others may come in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How to serve. Port 0 takes a free one; without `data` everything is gone at the end.

    `sas_keys`: what tokens are checked against, None accepts any. `tls`: AMQP inside TLS with the
    certificate of the admin API. `control`: the control API for tests, its draw begun with `seed`.
    """

    host: str = "127.0.0.1"
    port: int = 5672
    admin_port: int = 5300
    admin_http_port: int = 5301
    data: Path | None = None
    topology: Topology | None = None
    durability: Durability = Durability.NORMAL
    limits: Limits = field(default_factory=Limits)
    max_connections: int = 5_000
    allow_remote: bool = False
    sas_keys: SasKeys | None = None
    tls: bool = False
    control: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where a server can be reached, and the certificate of its admin API."""

    host: str
    amqp_port: int
    admin_port: int
    admin_http_port: int
    pid: int
    certificate: str

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `bus.failure` is set when it cannot go on."""

    bus: Bus
    listening: Listening
    peers: set[Peer]

    def delete_queue(self, name: str) -> None:
        """Remove a queue and close the links to it. Raises EntityNotFound."""
        _detach(self.peers, self.bus.namespace.delete(name))

    def drop_connections(self) -> None:
        """Cut every client's connection without a goodbye."""
        _drop(self.peers)

    def detach_receivers(self) -> int:
        """Close every receiver's link with `amqp:link:detach-forced`; how many there were."""
        return sum(peer.detach_receivers() for peer in list(self.peers))


@asynccontextmanager
async def serve(options: ServerOptions, clock: Clock | None = None) -> AsyncIterator[Server]:
    """Run a server for the length of the block.

    Raises RemoteNotAllowed, StoreInUse, OSError for a taken port.
    """
    if not options.allow_remote and not _is_loopback(options.host):
        raise RemoteNotAllowed(f"{options.host} is not a loopback address")
    loop = asyncio.get_running_loop()
    if clock is None:
        clock = DrivenClock() if options.control else SystemClock()
    async with AsyncExitStack() as stack:
        if options.data is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localbus-")))
            store = Store(folder / MESSAGES_FILE, Durability.NONE)
        else:
            folder = options.data
            folder.mkdir(parents=True, exist_ok=True)
            store = Store(folder / MESSAGES_FILE, options.durability)
        stack.callback(store.close)
        bus = Bus(store, clock, loop)
        stack.callback(bus.stop)
        if options.topology is not None:
            apply_topology(options.topology, bus)
        bus.wake()

        certificate, key = ensure_certificate(folder, options.host)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        peers: set[Peer] = set()
        amqp = await loop.create_server(
            lambda: Peer(
                bus,
                peers,
                options.limits,
                container_id="localbus",
                max_peers=options.max_connections,
                keys=options.sas_keys,
            ),
            options.host,
            options.port,
            backlog=1024,
            ssl=tls if options.tls else None,
            ssl_handshake_timeout=_HANDSHAKE_S if options.tls else None,
        )
        stack.push_async_callback(_close_amqp, amqp, peers)
        api = AdminApi(bus, "localbus", lambda entity: _detach(peers, entity))
        status = StatusPages(bus, lambda: len(peers))
        control = None
        if options.control:
            assert isinstance(clock, DrivenClock), "a control API needs a clock it can drive"
            bus.faults = Faults(options.seed)
            control = ControlApi(bus, clock, bus.faults, lambda: _drop(peers))
        https = await stack.enter_async_context(
            AdminServer(
                Site(api, options.sas_keys, bus.clock), options.host, options.admin_port, tls
            )
        )
        http = await stack.enter_async_context(
            AdminServer(
                Site(api, options.sas_keys, bus.clock, status=status, control=control),
                options.host,
                options.admin_http_port,
                None,
            )
        )
        yield Server(
            bus,
            Listening(
                host=options.host,
                amqp_port=amqp.sockets[0].getsockname()[1],
                admin_port=https.port,
                admin_http_port=http.port,
                pid=os.getpid(),
                certificate=str(certificate),
            ),
            peers,
        )


def _detach(peers: set[Peer], entity: MessagingEntity) -> None:
    for peer in list(peers):
        peer.detach_from(entity)


def _drop(peers: set[Peer]) -> None:
    for peer in list(peers):
        peer.abort()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may mean any address


async def _close_amqp(server: asyncio.Server, peers: set[Peer]) -> None:
    server.close()
    goodbye = Error("amqp:connection:forced", "localbus is stopping")
    for peer in list(peers):
        peer.close(goodbye)
    for grace_s in (_STOP_AFTER_S, None):
        if peers:
            await asyncio.wait({peer.gone for peer in peers}, timeout=grace_s)
        for peer in list(peers):
            peer.abort()
