"""Backpressure: bounded intake that says when to come again, and loses nothing."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from contracts.artifact import Tier
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.artifacts.folder import FolderStore
from fleet.artifacts.store import Stored
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import ON_LOOPBACK

_PATIENCE = 30.0


@pytest.fixture
def site(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
) -> HttpSite:
    return HttpSite(
        intake=intake,
        redrives=redrives,
        resender=resender,
        flow=flow,
        schedules=schedules,
        pipelines=intake.pipelines,
        reader=reader,
        browser=browser,
        access=ON_LOOPBACK,
        tracer=TracerProvider().get_tracer("dispatcher"),
    )


def a_body(number: int) -> dict[str, object]:
    return {
        "pipeline": "monthly",
        "parameters": {"client": f"C-{number}"},
        "scope": {"tenant": "acme"},
        "requester": "ana",
    }


def a_client(site: HttpSite, **rules: float) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(site, **rules))  # type: ignore[arg-type]  # of numbers
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def until(holds: Callable[[], bool]) -> None:
    never = asyncio.Event()
    async with asyncio.timeout(_PATIENCE):
        while not holds():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), 0.02)


async def test_while_the_ledger_is_locked_requests_are_told_to_come_again(
    site: HttpSite, reader: LedgerReader, tmp_path: Path
) -> None:
    """The one at hand waits and is taken on; the next ones get 503 with Retry-After; looking goes
    on; what was accepted is there, and nothing else."""
    ledger = site.intake.ledger
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    async with a_client(site, slow=0.2) as client:
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.create_task(client.post("/v1/runs", json=a_body(0)))
        await until(lambda: ledger.stalled > 0.2)
        turned_away = await client.post("/v1/runs", json=a_body(1))
        looked = await client.get("/v1/runs")
        other.execute("ROLLBACK")
        other.close()
        accepted = await first
        await until(lambda: ledger.stalled == 0)
        again = await client.post("/v1/runs", json=a_body(1))

    assert (turned_away.status_code, looked.status_code) == (503, 200)
    assert int(turned_away.headers["Retry-After"]) > 0
    assert (accepted.status_code, again.status_code) == (202, 202)
    assert {run.run for run in reader.runs()} == {accepted.json()["run"], again.json()["run"]}


class _Slow(FolderStore):
    """A store that takes its time: nothing is stored before it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.go_on = threading.Event()

    def put_bytes(self, tier: Tier, data: bytes) -> Stored:
        assert self.go_on.wait(_PATIENCE)
        return super().put_bytes(tier, data)


async def test_a_slow_store_bounds_how_many_are_taken_on_at_once(
    site: HttpSite, reader: LedgerReader, tmp_path: Path
) -> None:
    """Two wait for it; whoever comes beyond gets 429 with Retry-After, and may come again."""
    store = _Slow(tmp_path / "slow")
    site = replace(site, intake=replace(site.intake, store=store))
    async with a_client(site, places=2) as client:
        waiting = [asyncio.create_task(client.post("/v1/runs", json=a_body(n))) for n in (0, 1)]
        await asyncio.wait(waiting, timeout=0.05)  # both are on their way by now
        beyond = [await client.post("/v1/runs", json=a_body(n)) for n in (2, 3)]
        store.go_on.set()
        taken = await asyncio.gather(*waiting)
        again = await client.post("/v1/runs", json=a_body(2))

    assert [one.status_code for one in beyond] == [429, 429]
    assert all(int(one.headers["Retry-After"]) > 0 for one in beyond)
    assert [one.status_code for one in (*taken, again)] == [202, 202, 202]
    assert len(reader.runs()) == 3
