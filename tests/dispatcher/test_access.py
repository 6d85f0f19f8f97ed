"""Who is answered over HTTP: by token and role, on the real application with a real issuer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr

from console.errors import Refused
from console.intake import Intake as FleetIntake
from console.intake import bearing
from dispatcher.access import ACTIONS, OPEN, Access
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, api, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from fleet.access.access_file import load_access
from fleet.access.loopback import LoopbackTrust
from fleet.access.tokens import TokenSource
from fleet.clock import SystemClock
from fleet.http_server import HttpServer
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import a_request
from tests.fleet.access.issuer import AUDIENCE, LoopbackIssuer, issuing

ACCESS = """
[[issuer]]
kind = "entra"
issuer = "{address}"
audience = "{audience}"
keys = "{keys}"

[[grant]]
claim = "roles"
value = "Viewer"
roles = ["viewer"]

[[grant]]
claim = "roles"
value = "Operator"
roles = ["operator"]

[[grant]]
claim = "roles"
value = "Of.Acme"
roles = ["operator"]
tenants = ["acme"]
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[LoopbackIssuer]:
    with issuing() as one:
        yield one


@pytest.fixture
def access(issuer: LoopbackIssuer, tmp_path: Path) -> Access:
    path = tmp_path / "access.toml"
    path.write_text(
        ACCESS.format(address=issuer.address, audience=AUDIENCE, keys=issuer.keys_address)
    )
    return Access(identities=TokenSource(load_access(path)), clock=SystemClock())


@pytest.fixture
def app(
    intake: Intake,
    redrives: Redrives,
    resender: Resender,
    flow: FlowControl,
    schedules: Schedules,
    reader: LedgerReader,
    browser: LedgerBrowser,
    access: Access,
) -> FastAPI:
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
            tracer=TracerProvider().get_tracer("dispatcher"),
            access=access,
        )
    )


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, client=("10.0.0.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://dispatcher") as opened:
        yield opened


def login(issuer: LoopbackIssuer, role: str, name: str = "ada") -> dict[str, str]:
    token = issuer.token(datetime.now(UTC), roles=[role], preferred_username=name)
    return {"authorization": f"Bearer {token}"}


def body(tenant: str = "acme", requester: str = "ada") -> dict[str, object]:
    asked = a_request(scope={"tenant": tenant, "audience": "tenant"}, requester=requester)
    return asked.model_dump(mode="json", exclude_none=True)


def test_every_operation_is_an_action() -> None:
    """An operation that nobody put into the table would be closed: the table has them all."""
    operations = {route.operation_id for route in api().routes if isinstance(route, APIRoute)}

    assert operations == ACTIONS.keys() | OPEN


async def test_without_a_token_only_probes_are_answered(client: httpx.AsyncClient) -> None:
    """401 says how to come back; whether the process lives is told to anybody."""
    refused = await client.get("/v1/runs")

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.json()["type"] == "urn:leaf-fleet:nobody"
    assert (await client.get("/healthz")).status_code == 200


async def test_a_viewer_looks_and_does_not_act(
    client: httpx.AsyncClient, issuer: LoopbackIssuer
) -> None:
    """The refusal names the roles that could."""
    viewer = login(issuer, "Viewer")

    looked = await client.get("/v1/runs", headers=viewer)
    asked = await client.post("/v1/runs", json=body(), headers=viewer)

    assert (looked.status_code, looked.json()) == (200, [])
    assert asked.status_code == 403
    assert "operator or admin" in asked.json()["detail"]


async def test_nobody_asks_in_anothers_name(
    client: httpx.AsyncClient, issuer: LoopbackIssuer
) -> None:
    """A person asks as themselves; a program says for whom behind its own name."""
    operator, program = login(issuer, "Operator"), login(issuer, "Operator", "sync")

    as_grace = await client.post("/v1/runs", json=body(requester="grace"), headers=operator)
    as_ada = await client.post("/v1/runs", json=body(), headers=operator)
    behalf = await client.post("/v1/runs", json=body(requester="sync:grace"), headers=program)

    assert (as_grace.status_code, as_ada.status_code, behalf.status_code) == (403, 202, 202)
    assert "You are ada" in as_grace.json()["detail"]


async def test_a_tenants_people_see_their_runs_alone(
    client: httpx.AsyncClient, issuer: LoopbackIssuer
) -> None:
    """Other tenants' runs are not listed, not found, and not asked for."""
    everybody, of_acme = login(issuer, "Operator"), login(issuer, "Of.Acme")
    theirs = await client.post("/v1/runs", json=body("globex"), headers=everybody)
    mine = await client.post("/v1/runs", json=body("acme"), headers=of_acme)

    listed = await client.get("/v1/runs", headers=of_acme)
    found = await client.get(f"/v1/runs/{theirs.json()['run']}", headers=of_acme)
    filtered = await client.get("/v1/runs?tenant=globex", headers=of_acme)
    asked = await client.post("/v1/runs", json=body("globex"), headers=of_acme)
    why = {"requester": "ada", "reason": "not mine"}
    path = f"/v1/runs/{theirs.json()['run']}/cancel"
    cancelled = await client.post(path, json=why, headers=of_acme)
    fleet = await client.get("/v1/redrives", headers=of_acme)

    assert [row["run"] for row in listed.json()] == [mine.json()["run"]]
    assert (found.status_code, filtered.status_code, asked.status_code) == (404, 403, 403)
    assert (cancelled.status_code, fleet.status_code) == (404, 403)


async def test_nobody_from_elsewhere_is_believed_without_an_access_file(
    app: FastAPI,
) -> None:
    """Without tokens this machine is answered, under the loopback's own name, and nobody else."""
    app.state.site = replaced(app.state.site)
    answers = {}
    for peer, host in (
        ("127.0.0.1", "127.0.0.1:8780"),
        ("10.0.0.7", "127.0.0.1:8780"),
        ("127.0.0.1", "attacker.example.org"),  # a page that rebinds its name
    ):
        transport = httpx.ASGITransport(app, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            answers[peer, host] = (await client.get("/v1/runs")).status_code

    assert list(answers.values()) == [200, 401, 401]


async def test_the_command_line_asks_with_its_token(app: FastAPI, issuer: LoopbackIssuer) -> None:
    """What `fleet` sends is the login that the dispatcher wants; without it, it says so."""
    server, stop = HttpServer(app, "127.0.0.1", 0), asyncio.Event()
    token = SecretStr(issuer.token(datetime.now(UTC), roles=["Viewer"]))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        await server.listening.wait()
        try:
            with FleetIntake("127.0.0.1", server.port, login=bearing(token)) as intake:
                told = await asyncio.to_thread(intake.policy)
            with FleetIntake("127.0.0.1", server.port) as nobody, pytest.raises(Refused) as refused:
                await asyncio.to_thread(nobody.policy)
        finally:
            stop.set()

    assert "bundle" in told
    assert "Authorization" in str(refused.value)


def replaced(site: HttpSite) -> HttpSite:
    """The site, with nothing but the loopback to go by."""
    from dataclasses import replace

    return replace(site, access=Access(identities=LoopbackTrust(), clock=SystemClock()))


def test_the_document_says_what_an_operation_needs() -> None:
    """OpenAPI names the token, the action and both refusals."""
    told = api().openapi()["paths"]["/v1/runs"]["post"]

    assert told["security"] == [{"token": []}]
    assert told["x-action"] == "run.submit"
    assert {"401", "403"} <= told["responses"].keys()
