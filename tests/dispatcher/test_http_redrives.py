"""Dead letters over HTTP, by the real application on a real ledger."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import ON_LOOPBACK, Hands, Hurried
from tests.dispatcher.failing import fail_next, failed_runs

WHO = {"requester": "ana", "reason": "the source is back"}


@pytest.fixture
def app(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
) -> FastAPI:
    tracer = TracerProvider().get_tracer("dispatcher")
    return create_app(
        HttpSite(
            intake=intake,
            redrives=redrives,
            resender=resender,
            flow=flow,
            schedules=schedules,
            pipelines=intake.pipelines,
            reader=reader,
            browser=browser,
            tracer=tracer,
            access=ON_LOOPBACK,
        )
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


async def test_groups_are_told_and_a_dry_run_counts_them(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """Nothing is started by looking."""
    await failed_runs(intake, ledger, clock, 5)

    groups = (await client.get("/v1/dead-letters/groups")).json()
    answer = await client.post(
        "/v1/redrives", json=WHO | {"group": groups[0]["fingerprint"], "dry_run": True}
    )

    assert [(g["count"], g["where"]) for g in groups] == [(3, {"months": 3}), (2, {"months": 2})]
    assert answer.status_code == 200
    assert answer.json()["job"] is None
    assert answer.json()["preview"]["total"] == 3
    assert answer.json()["preview"]["groups"][0]["sample"] == groups[0]["sample"]
    assert (await client.get("/v1/redrives")).json() == []


async def test_a_redrive_is_started_followed_and_listed(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """Its place is in the answer; its items say what became of each."""
    tasks = await failed_runs(intake, ledger, clock, 3)

    answer = await client.post("/v1/redrives", json=WHO | {"everything": True})
    await ledger.step_redrives(clock.now(), 2)
    job = (await client.get(answer.headers["location"])).json()
    items = (await client.get(answer.headers["location"] + "/items")).json()
    listed = (await client.get("/v1/redrives")).json()

    assert answer.status_code == 202
    assert answer.json()["job"]["total"] == 3
    assert (job["state"], job["redriven"], job["actor"]) == ("running", 2, "ana")
    assert sorted(item["task"] for item in items) == sorted(tasks)
    assert [item["state"] for item in items] == ["redriven", "redriven", "pending"]
    assert listed == [job]


async def test_tasks_may_be_named_by_their_beginnings(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """As everywhere else; one that nobody has is not found."""
    task, *_ = await failed_runs(intake, ledger, clock, 2)

    named = await client.post("/v1/redrives", json=WHO | {"tasks": [task[:23]]})
    unknown = await client.post("/v1/redrives", json=WHO | {"tasks": ["fff"]})

    assert named.json()["job"]["total"] == 1
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:leaf-fleet:unknown")


async def test_asking_again_with_the_same_id_starts_no_second_job(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """A client that heard no answer may ask again."""
    await failed_runs(intake, ledger, clock, 1)
    asked = WHO | {"everything": True, "job": "01234567-89ab-7def-8123-456789abcdef"}

    first = await client.post("/v1/redrives", json=asked)
    again = await client.post("/v1/redrives", json=asked)

    assert first.json() == again.json()
    assert len((await client.get("/v1/redrives")).json()) == 1


@pytest.mark.parametrize(
    "body",
    [
        WHO,
        WHO | {"everything": True, "group": "abc"},
        WHO | {"group": "not hex"},
        {"everything": True, "requester": "ana"},
        {"everything": True, "reason": "x"},
        WHO | {"everything": True, "per_second": 0},
        WHO | {"everything": True, "dry": True},
    ],
)
async def test_what_is_not_clear_is_refused(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    """Exactly one choice, by whom and why; misspelt fields are named."""
    answer = await client.post("/v1/redrives", json=body)

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:leaf-fleet:request-invalid")


async def test_a_redrive_is_cancelled_once_it_runs_and_not_when_it_is_done(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """What is left stays as it is."""
    await failed_runs(intake, ledger, clock, 2)
    place = (await client.post("/v1/redrives", json=WHO | {"everything": True})).headers["location"]

    cancelled = await client.post(f"{place}/cancel", json={"requester": "bob"})
    nothing = await client.post("/v1/redrives", json=WHO | {"group": "abc"})
    late = await client.post(
        f"/v1/redrives/{nothing.json()['job']['job']}/cancel", json={"requester": "bob"}
    )

    assert (cancelled.json()["state"], cancelled.json()["ended_by"]) == ("cancelled", "bob")
    assert (late.status_code, late.json()["type"]) == (409, "urn:leaf-fleet:moved-on")


async def test_a_task_is_tried_again_with_its_payload_edited(
    client: httpx.AsyncClient,
    intake: Intake,
    ledger: Ledger,
    reader: LedgerReader,
    browser: LedgerBrowser,
    clock: Hands,
    hurried: Hurried,
) -> None:
    """The new envelope carries it, the history says how it differs, the run is hurried along."""
    [task] = await failed_runs(intake, ledger, clock, 1)
    change = {"set": {"parameters.client": "C-2"}}

    looked = await client.post(f"/v1/tasks/{task}/retry", json=WHO | change | {"dry_run": True})
    before = reader.task(task)
    answer = await client.post(f"/v1/tasks/{task[:23]}/retry", json=WHO | change)

    patch = [
        {"op": "replace", "path": "/parameters/client", "value": "C-2", "was": "C-1"},
    ]
    assert (looked.status_code, looked.json()["edit"], before.attempt) == (200, patch, 1)
    assert answer.status_code == 202
    assert (answer.json()["redrives"], answer.json()["attempt"]) == (1, 2)
    detail = reader.task(task)
    [row] = await ledger.due_outbox(10, clock.now().replace(year=2030))
    assert row.envelope.body.payload["parameters"] == {"client": "C-2"}
    assert row.envelope.body.files.keys() == {"sql/months.sql"}
    assert detail.history[-1].facts == {"redrives": 1, "edit": patch}
    assert hurried[-1] == detail.run


async def test_an_edit_that_makes_no_payload_is_refused(
    client: httpx.AsyncClient,
    intake: Intake,
    ledger: Ledger,
    reader: LedgerReader,
    browser: LedgerBrowser,
    clock: Hands,
) -> None:
    """Each path with its fault; nothing is promised."""
    [task] = await failed_runs(intake, ledger, clock, 1)

    answer = await client.post(
        f"/v1/tasks/{task}/retry",
        json=WHO | {"set": {"at_least": "one", "query": "sql/claims.sql"}},
    )

    told = answer.json()
    assert (answer.status_code, told["type"]) == (422, "urn:leaf-fleet:edit-refused")
    assert {fault["field"] for fault in told["faults"]} == {"file", "at_least"}
    assert reader.task(task).attempt == 1


async def test_a_task_that_stands_otherwise_is_not_retried(
    client: httpx.AsyncClient, intake: Intake, ledger: Ledger, clock: Hands
) -> None:
    """It is queued already: 409, and again once it failed is fine."""
    [task] = await failed_runs(intake, ledger, clock, 1)
    first = await client.post(f"/v1/tasks/{task}/retry", json=WHO)
    second = await client.post(f"/v1/tasks/{task}/retry", json=WHO)
    await fail_next(ledger, clock, first.json()["run"], "again")

    third = await client.post(f"/v1/tasks/{task}/retry", json=WHO)

    assert [answer.status_code for answer in (first, second, third)] == [202, 409, 202]
