"""The console's process: what it opens, what it serves, how it ends."""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from console.site import Site
from console.web.app import create_app
from console.web.beat import Beat
from console.web.bus_view import BusView
from console.web.cluster_view import cluster_view
from console.web.site import WebSite
from console.web.trends import Trends
from fleet.access.access_file import load_access
from fleet.access.local import LocalSessions, local_key
from fleet.access.seal import Sealer
from fleet.access.source import IdentitySource
from fleet.access.tokens import TokenSource
from fleet.artifacts.opened import open_store
from fleet.clock import SystemClock
from fleet.http_server import HttpServer
from fleet.lanes import load_lanes
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.ledger import Ledger
from fleet.ledger.pulse import Pulse
from fleet.ledger.reader import LedgerReader
from fleet.ready import write_ready
from fleet.settings import Settings
from policies.live import LiveGate

if TYPE_CHECKING:
    from fleet.bus.admin import Counts

RULES_EVERY = 2.0
"""Seconds between looks at the rules, which may change while this serves."""
_log = logging.getLogger("console")


async def serve(site: Site, stop: asyncio.Event, ready_file: Path | None) -> None:
    """Serve the pages until `stop` is set."""
    settings = site.settings
    # The tables are brought up to date, so that the pages may be the first to look.
    await (await Ledger.open(settings.ledger_address)).aclose()
    async with contextlib.AsyncExitStack() as opened:
        web = _web_site(site, opened)
        app = create_app(web)
        server = HttpServer(app, settings.console_host, settings.console_port)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.run(stop))
            group.create_task(web.beat.run(stop))
            group.create_task(_refreshed(web.gate, stop))
            group.create_task(_ended_with(stop, app.state.stopping))
            await server.listening.wait()
            if ready_file is not None:
                write_ready(ready_file, console_port=server.port)
            _log.info("the console is on http://%s:%d", settings.console_host, server.port)
    _log.info("stopped")


def _web_site(site: Site, opened: contextlib.AsyncExitStack) -> WebSite:
    settings, clock = site.settings, SystemClock()
    address = settings.ledger_reading_address
    lanes = load_lanes(settings.lanes_file)
    pulse = opened.enter_context(Pulse(address))
    local, identities = _logins(settings)
    return WebSite(
        settings=settings,
        clock=clock,
        reader=opened.enter_context(LedgerReader(address)),
        browser=opened.enter_context(LedgerBrowser(address)),
        pulse=pulse,
        lanes=lanes,
        gate=LiveGate(settings.rules, lanes),
        store=open_store(settings.artifacts_address, settings.artifacts_folder),
        bus=BusView(_ask(site), clock),
        cluster=cluster_view(settings, lanes, clock),
        trends=Trends(pulse),
        beat=Beat(pulse),
        identities=identities,
        sealer=sealer_of(settings),
        local=local,
        secure=local is None,
        dispatcher=(settings.http_host, settings.http_port),
    )


def sealer_of(settings: Settings) -> Sealer:
    """With the key that replicas share, else with this home's own."""
    given = settings.session_key
    key = local_key(settings.home) if given is None else given.get_secret_value()
    return Sealer(key.encode())


def _logins(settings: Settings) -> tuple[LocalSessions | None, IdentitySource]:
    """Tokens where an access file says whose are believed, else the local login. Raises
    AccessFileRefused."""
    if settings.access_file is not None:
        return None, TokenSource(load_access(settings.access_file))
    local = LocalSessions(local_key(settings.home))
    return local, local


def _ask(site: Site) -> "BusAsk | None":
    return None if site.bus_admin is None else BusAsk(site.bus_admin, site.settings.bus_certificate)


class BusAsk:
    """Asks the bus for its depths. The client is built with the first question: the SDK is slow to
    import, and pages may be served before it is there."""

    def __init__(self, connection: str, certificate: Path | None) -> None:
        self._connection, self._certificate = connection, certificate

    def __call__(self) -> "dict[str, Counts]":
        from fleet.bus.admin import BusAdmin

        with BusAdmin(self._connection, self._certificate) as admin:
            return admin.counts()


async def _refreshed(gate: LiveGate, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RULES_EVERY)
        await asyncio.to_thread(gate.refresh)


async def _ended_with(stop: asyncio.Event, streams: asyncio.Event) -> None:
    """Streams end before the server waits for open answers."""
    await stop.wait()
    streams.set()
