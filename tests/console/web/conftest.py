"""The console's pages over a ledger that the ledger itself made, without a stack."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from console.web.app import create_app
from console.web.beat import Beat
from console.web.bus_view import BusView
from console.web.cluster_view import cluster_view
from console.web.site import WebSite
from console.web.trends import Trends
from contracts.access import Role
from fleet.access.local import LocalSessions, local_key
from fleet.access.seal import Sealer
from fleet.lanes import load_lanes
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.pulse import Pulse
from fleet.ledger.reader import LedgerReader
from fleet.settings import Settings
from policies.live import LiveGate
from tests.console.ledgers import Home

NOBODY_LISTENS = ("127.0.0.1", 9)


class HomeClock:
    """The time at the home that the pages are of."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def now(self) -> datetime:
        return self._home.now


class Browser:
    """What a browser on this machine sends to the application, and keeps of its answers."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self.cookies = app, httpx.Cookies()

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._sent("GET", path, headers, None))

    def post(
        self, path: str, data: dict[str, Any], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        return asyncio.run(self._sent("POST", path, headers, data))

    async def _sent(
        self, method: str, path: str, headers: dict[str, str] | None, data: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", cookies=self.cookies
        ) as client:
            answer = await client.request(method, path, headers=headers, data=data)
            self.cookies = client.cookies
        return answer


@dataclass(frozen=True)
class Web:
    """The application, and people who look at it."""

    site: WebSite
    key: str

    def somebody(
        self, role: Role | None = Role.ADMIN, *, name: str = "ada", tenants: str = ""
    ) -> Browser:
        """A browser on this machine, logged in; not, where `role` is None."""
        browser = Browser(create_app(self.site))
        if role is not None:
            form = {"key": self.key, "name": name, "role": role.value, "tenants": tenants}
            assert browser.post("/login", data=form).status_code == 303
        return browser


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def a_web(home: Home, opened: ExitStack, dispatcher: tuple[str, int] = NOBODY_LISTENS) -> Web:
    """The pages of a home whose ledger is there already."""
    settings = Settings(home=home.folder)
    lanes = load_lanes(settings.lanes_file)
    pulse = opened.enter_context(Pulse(home.url))
    key = local_key(home.folder)
    local, clock = LocalSessions(key), HomeClock(home)
    site = WebSite(
        settings=settings,
        clock=clock,
        reader=opened.enter_context(LedgerReader(home.url)),
        browser=opened.enter_context(LedgerBrowser(home.url)),
        pulse=pulse,
        lanes=lanes,
        gate=LiveGate(settings.rules, lanes),
        store=home.store,
        bus=BusView(None, clock),
        cluster=cluster_view(settings, lanes, clock),
        trends=Trends(pulse),
        beat=Beat(pulse),
        identities=local,
        sealer=Sealer(key.encode()),
        local=local,
        dispatcher=dispatcher,
    )
    return Web(site, key)


@pytest.fixture
def web(home: Home) -> Iterator[Web]:
    """A home with three runs: one that did well, one that did not, one that was denied."""
    home.run(1)
    home.run(2, broken=True)
    home.run(3, denied=True)
    with ExitStack() as opened:
        yield a_web(home, opened)
