"""Pauses over HTTP, by the real application on a real ledger."""

from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import ON_LOOPBACK

_WHY = {"requester": "ana", "reason": "the source is being moved"}


@pytest.fixture
async def client(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
) -> AsyncIterator[httpx.AsyncClient]:
    site = HttpSite(
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
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


async def test_a_lane_and_a_pipeline_are_paused_and_resumed_with_who_and_why(
    client: httpx.AsyncClient,
) -> None:
    """Twice is once; the history keeps all of it."""
    told = [
        (await client.post("/v1/lanes/mirror/pause", json=_WHY)).json(),
        (await client.post("/v1/lanes/mirror/pause", json=_WHY)).json(),
        (await client.post("/v1/pipelines/monthly/pause", json=_WHY)).json(),
    ]
    during = (await client.get("/v1/pauses")).json()
    await client.post("/v1/lanes/mirror/resume", json=_WHY | {"requester": "bob"})
    after = (await client.get("/v1/pauses")).json()
    history = (await client.get("/v1/pauses/history", params={"name": "mirror"})).json()

    assert [one["changed"] for one in told] == [True, False, True]
    assert {(row["what"], row["name"], row["actor"]) for row in during} == {
        ("lane", "mirror", "ana"),
        ("pipeline", "monthly", "ana"),
    }
    assert [row["name"] for row in after] == ["monthly"]
    assert [(row["action"], row["actor"]) for row in history] == [
        ("resume", "bob"),
        ("pause", "ana"),
    ]


async def test_a_pause_of_what_is_not_there_or_without_a_reason_is_refused(
    client: httpx.AsyncClient,
) -> None:
    """The names that there are are told."""
    lane = await client.post("/v1/lanes/mirrror/pause", json=_WHY)
    pipeline = await client.post("/v1/pipelines/weekly/pause", json=_WHY)
    silent = await client.post("/v1/lanes/mirror/pause", json={"requester": "ana"})

    assert (lane.status_code, pipeline.status_code, silent.status_code) == (404, 404, 422)
    assert "mirror" in lane.json()["detail"]
    assert (await client.get("/v1/pauses")).json() == []
