"""Approvals over HTTP, by the real application on a real ledger."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider

from contracts.approval import task_digest
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
from fleet.ledger.rows import ApprovalAsked, Claim, Claimed, Record
from tests.dispatcher.conftest import ON_LOOPBACK, Hands, a_request


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


@pytest.fixture
async def held(intake: Intake, ledger: Ledger, clock: Hands) -> str:
    """The id of a task that a worker has held for approval."""
    await intake.accept(a_request())
    (row,) = await ledger.due_outbox(1, clock.now() + timedelta(seconds=1))
    envelope = row.envelope
    now = clock.now()
    claimed = await ledger.claim(
        Claim(task=envelope.task, attempt=1, worker="w", now=now, lease_until=now)
    )
    assert isinstance(claimed, Claimed)
    asks = ApprovalAsked(
        digest=task_digest(envelope), reasons="two people", expires=now + timedelta(days=1)
    )
    held = Record(
        task=envelope.task, epoch=claimed.epoch, worker="w", now=now, state=State.HELD, asks=asks
    )
    await ledger.record(held)
    return envelope.task


async def test_two_people_let_a_task_go_on(client: httpx.AsyncClient, held: str) -> None:
    """The queue tells what is asked; the second vote queues the task and empties the queue."""
    (row,) = (await client.get("/v1/approvals")).json()
    word = {"approve": True, "comment": "agreed", "digest": row["digest"]}

    first = await client.post(f"/v1/approvals/{held}", json=word | {"approver": "grace"})
    second = await client.post(f"/v1/approvals/{held}", json=word | {"approver": "joan"})

    assert (row["task"], row["requester"], row["needed"]) == (held, "ana", 2)
    assert [first.json()["state"], second.json()["state"]] == ["held", "queued"]
    assert (await client.get("/v1/approvals")).json() == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"approver": "ana"}, 409),
        ({"digest": "0" * 64}, 409),
        ({"comment": ""}, 422),
        ({"digest": "nothing"}, 422),
    ],
)
async def test_a_vote_that_does_not_count_is_a_problem(
    client: httpx.AsyncClient, held: str, change: dict[str, str], status: int
) -> None:
    """The requester's own, one on something else, one without a comment."""
    (row,) = (await client.get("/v1/approvals")).json()
    word = {"approver": "grace", "approve": True, "comment": "agreed", "digest": row["digest"]}

    answer = await client.post(f"/v1/approvals/{held}", json=word | change)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_refusal_denies(client: httpx.AsyncClient, held: str) -> None:
    """At once; later votes do not count."""
    (row,) = (await client.get("/v1/approvals")).json()
    word = {"approver": "grace", "approve": False, "comment": "no", "digest": row["digest"]}

    answer = await client.post(f"/v1/approvals/{held}", json=word)
    late = await client.post(f"/v1/approvals/{held}", json=word | {"approver": "joan"})

    assert answer.json()["state"] == "denied"
    assert late.status_code == 409
