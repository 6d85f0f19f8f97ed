"""Cancelling over HTTP, by the real application on a real ledger."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from contracts.states import State
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Claim, Claimed
from tests.dispatcher.conftest import ON_LOOPBACK, Hands, a_request

WHY = {"requester": "ana", "reason": "the wrong month"}


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
        tracer=TracerProvider().get_tracer("dispatcher"),
        access=ON_LOOPBACK,
    )
    transport = httpx.ASGITransport(create_app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


async def _running(intake: Intake, ledger: Ledger, clock: Hands) -> Claimed:
    """A run's first task, leased by a worker."""
    await intake.accept(a_request())
    (row,) = await ledger.due_outbox(1, clock.now() + timedelta(seconds=1))
    claimed = await ledger.claim(
        Claim(
            task=row.envelope.task,
            attempt=1,
            worker="w",
            now=clock.now(),
            lease_until=clock.now() + timedelta(minutes=1),
        )
    )
    assert isinstance(claimed, Claimed)
    return claimed


async def test_a_run_is_cancelled_once_what_runs_has_stopped(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, reader: LedgerReader, clock: Hands
) -> None:
    """Asking says how many tasks still have to stop; force does not wait for them."""
    task = await _running(intake, ledger, clock)

    asked = await client.post(f"/v1/runs/{task.run[:23]}/cancel", json=WHY)
    forced = await client.post(f"/v1/runs/{task.run}/cancel", json=WHY | {"force": True})
    again = await client.post(f"/v1/runs/{task.run}/cancel", json=WHY)

    assert asked.json() == {"run": task.run, "state": "running", "running": 1}
    assert forced.json() == {"run": task.run, "state": "cancelled", "running": 0}
    assert again.json()["state"] == "cancelled"
    last = reader.task(task.task).history[-1]
    assert (last.actor, last.detail) == ("ana", "the wrong month")


async def test_a_task_is_cancelled_alone(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, reader: LedgerReader, clock: Hands
) -> None:
    """By its id or the beginning of it."""
    task = await _running(intake, ledger, clock)

    asked = await client.post(f"/v1/tasks/{task.task[:23]}/cancel", json=WHY)
    forced = await client.post(f"/v1/tasks/{task.task}/cancel", json=WHY | {"force": True})

    assert asked.json() == {"run": task.run, "state": "running", "running": 1}
    assert forced.json()["state"] == "cancelled"
    assert reader.task(task.task).state is State.CANCELLED


async def test_what_is_not_there_or_not_said_is_refused(client: httpx.AsyncClient) -> None:
    """Nothing of this id; no reason."""
    unknown = await client.post("/v1/tasks/abc/cancel", json=WHY)
    silent = await client.post("/v1/runs/abc/cancel", json={"requester": "ana"})

    assert (unknown.status_code, silent.status_code) == (404, 422)
