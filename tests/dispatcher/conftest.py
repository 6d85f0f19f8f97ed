"""A dispatcher's parts on real files: a SQLite ledger, a folder store, the packaged rules."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

import policies
from contracts.request import RunRequest
from dispatcher.access import Access
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.pipeline_folder import PipelineFolders
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.access.loopback import LoopbackTrust
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import open_bus
from fleet.clock import SystemClock
from fleet.http_server import HttpServer
from fleet.lanes import load_lanes
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import OutboxRow
from policies.bundle import load_bundle
from policies.gate import PolicyGate
from tests.console.ledgers import Home
from tests.dispatcher.pipelines import REGISTRY, a_folder

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


ON_LOOPBACK = Access(identities=LoopbackTrust(), clock=SystemClock())
"""As `fleet up` has it: this machine, and no tokens."""


@dataclass(frozen=True)
class Served:
    """A dispatcher that listens, and a run that has ended in its ledger."""

    address: str
    site: HttpSite
    home: Home
    run: str
    app: FastAPI

    async def ask(self, path: str, **query: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.address) as client:
            return await client.get(path, params=query)


class Hands:
    """A clock that tests move."""

    def __init__(self) -> None:
        self._now = NOON

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Hurried(list[str]):
    """The runs that intake wanted hurried along."""

    def __call__(self, run: str, _: Sequence[OutboxRow] = (), /) -> None:
        self.append(run)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def hurried() -> Hurried:
    return Hurried()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
async def ledger(address: str) -> AsyncIterator[Ledger]:
    async with await Ledger.open(address) as opened:
        yield opened


@pytest.fixture
def reader(ledger: Ledger, address: str) -> Iterator[LedgerReader]:
    with LedgerReader(address) as opened:
        yield opened


@pytest.fixture
def browser(ledger: Ledger, address: str) -> Iterator[LedgerBrowser]:
    with LedgerBrowser(address) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "artifacts")


@pytest.fixture(scope="session")
def gate() -> PolicyGate:
    return PolicyGate(load_bundle(Path(policies.__file__).parent / "rules", load_lanes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the one pipeline."""
    return a_folder(tmp_path / "pipelines")


@pytest.fixture
def intake(
    folder: Path,
    gate: PolicyGate,
    store: FolderStore,
    ledger: Ledger,
    reader: LedgerReader,
    clock: Hands,
    hurried: Hurried,
) -> Intake:
    counter = itertools.count(1)
    return Intake(
        pipelines=PipelineFolders([folder.parent], REGISTRY),
        registry=REGISTRY,
        lanes=load_lanes(),
        gate=gate,
        store=store,
        ledger=ledger,
        reader=reader,
        hurry=hurried,
        clock=clock,
        chance=lambda size: next(counter).to_bytes(size, "big"),
    )


@pytest.fixture
def redrives(ledger: Ledger, reader: LedgerReader, clock: Hands, hurried: Hurried) -> Redrives:
    counter = itertools.count(1)
    return Redrives(
        ledger=ledger,
        reader=reader,
        registry=REGISTRY,
        clock=clock,
        chance=lambda size: next(counter).to_bytes(size, "big"),
        wake=lambda: None,
        hurry=hurried,
    )


@pytest.fixture
async def resender(ledger: Ledger, store: FolderStore, clock: Hands) -> AsyncIterator[Resender]:
    """On a bus that is away: what is sent again is not these tests' subject."""
    nowhere = "Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=b;"
    async with open_bus(nowhere + "UseDevelopmentEmulator=true", store) as bus:
        yield Resender(ledger=ledger, bus=bus, clock=clock, chance=bytes)


@pytest.fixture
async def served(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
    tmp_path: Path,
) -> AsyncIterator[Served]:
    home = Home(tmp_path)
    run = await asyncio.to_thread(home.run, 1)
    site = HttpSite(
        intake=intake,
        redrives=redrives,
        resender=resender,
        flow=flow,
        schedules=schedules,
        pipelines=intake.pipelines,
        reader=reader,
        browser=browser,
        tracer=TracerProvider().get_tracer("dispatcher"),
        access=ON_LOOPBACK,
    )
    app, stop = create_app(site), asyncio.Event()
    server = HttpServer(app, "127.0.0.1", 0)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        await server.listening.wait()
        try:
            yield Served(f"http://127.0.0.1:{server.port}", site, home, run, app)
        finally:
            stop.set()


def a_request(**changes: object) -> RunRequest:
    """A request that the pipeline of tests.dispatcher.pipelines takes."""
    fields: dict[str, object] = {
        "pipeline": "monthly",
        "parameters": {"client": "C-1"},
        "scope": {"tenant": "acme"},
        "requester": "ana",
    }
    return RunRequest.model_validate(fields | changes)


@pytest.fixture
def flow(ledger: Ledger, reader: LedgerReader, intake: Intake, clock: Hands) -> FlowControl:
    return FlowControl(
        ledger=ledger,
        reader=reader,
        lanes=intake.lanes,
        pipelines=intake.pipelines,
        clock=clock,
        wake=lambda: None,
    )


@pytest.fixture
def schedules(ledger: Ledger, reader: LedgerReader, intake: Intake, clock: Hands) -> Schedules:
    return Schedules(intake=intake, ledger=ledger, reader=reader, clock=clock)
