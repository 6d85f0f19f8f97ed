"""The way in over HTTP, by the real application on a real ledger."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from dispatcher import openapi
from dispatcher.body_limit import MAX_BODY
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.redrives import Redrives
from dispatcher.resend import Resender
from dispatcher.schedules import Schedules
from dispatcher.supervised import Supervised
from fleet.http_server import AddressTaken, HttpServer
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.reader import LedgerReader
from tests.dispatcher.conftest import ON_LOOPBACK, a_request
from tests.dispatcher.pipelines import YAML

_TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    provider = TracerProvider()
    yield provider.get_tracer("dispatcher")
    provider.shutdown()


async def _nothing() -> bool:
    return False


@pytest.fixture
def loop() -> Supervised:
    return Supervised("outbox relay", _nothing, 1.0)


@pytest.fixture
def app(
    intake: Intake,
    redrives: Redrives,
    flow: FlowControl,
    schedules: Schedules,
    resender: Resender,
    reader: LedgerReader,
    browser: LedgerBrowser,
    tracer: Tracer,
    loop: Supervised,
) -> FastAPI:
    site = HttpSite(
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
        loops=(loop,),
    )
    return create_app(site)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as opened:
        yield opened


def _body(**changes: object) -> dict[str, Any]:
    return a_request(**changes).model_dump(mode="json", exclude_none=True)


def _problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The body of an answer that must be this problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["type"]) == (status, f"urn:leaf-fleet:{slug}")
    return told


async def test_a_request_is_answered_with_its_run(client: httpx.AsyncClient) -> None:
    """202 and where to look; the run is there to be seen at once."""
    answer = await client.post("/v1/runs", json=_body())

    run = (await client.get(answer.headers["location"])).json()
    assert answer.status_code == 202
    assert answer.json() | {"submitted": ""} == {
        "run": run["run"],
        "created": True,
        "state": "running",
        "submitted": "",
    }
    assert run["stages"][0]["stage"] == "months"
    assert [row["run"] for row in (await client.get("/v1/runs")).json()] == [run["run"]]


async def test_the_same_key_is_answered_with_the_same_run(client: httpx.AsyncClient) -> None:
    """202 once, 200 after that; the key in the header is the key in the body."""
    first = await client.post("/v1/runs", json=_body(key="k-1"))
    again = await client.post("/v1/runs", json=_body(), headers={"Idempotency-Key": "k-1"})

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["run"] == again.json()["run"]
    assert not again.json()["created"]


async def test_a_used_key_with_another_request_is_a_conflict(client: httpx.AsyncClient) -> None:
    """409 with the run that has the key and what differs."""
    first = await client.post("/v1/runs", json=_body(key="k-1"))
    answer = await client.post("/v1/runs", json=_body(key="k-1", priority=9))

    told = _problem(answer, 409, "key-conflict")
    assert told["run"] == first.json()["run"]
    assert "a different priority" in told["detail"]


async def test_two_different_keys_are_refused(client: httpx.AsyncClient) -> None:
    """Nobody guesses which of them was meant."""
    answer = await client.post(
        "/v1/runs", json=_body(key="k-1"), headers={"Idempotency-Key": "k-2"}
    )

    _problem(answer, 400, "http-400")


async def test_the_run_continues_the_callers_trace(
    client: httpx.AsyncClient, reader: LedgerReader, browser: LedgerBrowser
) -> None:
    """One trace from the upstream system on; without one, the run begins its own."""
    told = await client.post("/v1/runs", json=_body(), headers={"traceparent": _TRACE})
    untold = await client.post("/v1/runs", json=_body())
    malformed = await client.post("/v1/runs", json=_body(), headers={"traceparent": "00-x"})

    traces = [reader.run(answer.json()["run"]).trace_id for answer in (told, untold, malformed)]
    assert traces[0] == "a" * 32
    assert None not in traces
    assert len(set(traces)) == 3


async def test_faults_come_with_their_lines(client: httpx.AsyncClient) -> None:
    """Every fault of a request at once, each with the line of the declaration."""
    answer = await client.post("/v1/runs", json=_body(parameters={"rows": "x", "colour": "red"}))

    told = _problem(answer, 422, "request-refused")
    assert [fault["line"] for fault in told["faults"]] == [4, 5, 8]
    assert told["faults"][1]["message"] == "parameter 'client' is required"


async def test_a_faulty_pipeline_is_refused_with_its_lines(
    client: httpx.AsyncClient, folder: Path
) -> None:
    """At submit and where its parameters are asked for; the list still shows it."""
    text = YAML.replace("needs: [claims]", "needs: [totals]").replace("mirror.keys", "mirror.kyes")
    (folder / "pipeline.yaml").write_text(text)

    submitted = await client.post("/v1/runs", json=_body())
    asked = await client.get("/v1/pipelines/monthly")
    listed = await client.get("/v1/pipelines")

    for answer in (submitted, asked):
        told = _problem(answer, 422, "pipeline-refused")
        assert [fault["line"] for fault in told["faults"]] == [12, 25]
    assert [(entry["name"], entry["faults"]) for entry in listed.json()] == [("monthly", 2)]


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"", 422, "request-invalid"),
        (b"{", 400, "not-json"),
        (b"\xff\xfe", 400, "not-json"),
        (b"[]", 422, "request-invalid"),
        (b'{"pipeline": "monthly"}', 422, "request-invalid"),
        (b"[" * 100_000, 400, "http-400"),
        (b" " * (MAX_BODY + 1), 413, "too-large"),
    ],
)
async def test_what_is_no_request_is_refused(
    client: httpx.AsyncClient, content: bytes, status: int, slug: str
) -> None:
    """Empty, broken, hostile or endless: a problem, and the service goes on."""
    headers = {"content-type": "application/json"}
    answer = await client.post("/v1/runs", content=content, headers=headers)

    _problem(answer, status, slug)


@pytest.mark.parametrize(
    "hostile",
    [
        {"parameters": {"client": "\ud800"}},
        {"parameters": {"\ud800": "x"}},
        {"parameters": {"\ud800": {}}},
        {"parameters": {"x" * 10_000: 1}},
        {"\ud800": 1},
        {"flags": ["\ud800"]},
        {"deadline": "0001-01-01T00:00:00+14:00"},
        {"requester": "<script>"},
        {f"field{number}": 1 for number in range(5_000)},
    ],
)
async def test_hostile_values_are_refused_briefly(
    client: httpx.AsyncClient, hostile: dict[str, object]
) -> None:
    """Half characters, endless names, impossible times: refused, and the answer stays short."""
    content = json.dumps(_body() | hostile).encode()
    headers = {"content-type": "application/json"}

    answer = await client.post("/v1/runs", content=content, headers=headers)

    assert answer.status_code == 422
    assert len(answer.content) < 20_000


async def test_a_misspelt_field_is_named(client: httpx.AsyncClient) -> None:
    """The field is named, its value is not repeated."""
    answer = await client.post("/v1/runs", json=_body() | {"priorty": "s3cret"})

    told = _problem(answer, 422, "request-invalid")
    assert [fault["field"] for fault in told["faults"]] == ["body.priorty"]
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/v1/runs/nothing", "unknown"),
        ("/v1/pipelines/nothing", "pipeline-unknown"),
        ("/v1/pipelines/..%2f..", "http-404"),
        ("/v1/nothing", "http-404"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    client: httpx.AsyncClient, path: str, slug: str
) -> None:
    """Every error has the one shape."""
    _problem(await client.get(path), 404, slug)


async def test_a_run_is_found_by_the_beginning_of_its_id(client: httpx.AsyncClient) -> None:
    """As people copy ids from a list."""
    run = (await client.post("/v1/runs", json=_body())).json()["run"]

    assert (await client.get(f"/v1/runs/{run[:30]}")).json()["run"] == run


async def test_a_pipeline_tells_its_parameters(client: httpx.AsyncClient) -> None:
    """Types, defaults and what is required: enough to ask for a run."""
    told = (await client.get("/v1/pipelines/monthly")).json()

    assert told["parameters"]["client"]["required"]
    assert told["parameters"]["since"] | {"description": ""} == {
        **{"type": "date", "required": False, "default": "2024-01-01", "pattern": None},
        **{"choices": None, "description": ""},
    }
    assert [stage["name"] for stage in told["stages"] if stage["fans_out"]] == [
        *("claims", "typed", "book")
    ]


async def test_readiness_says_what_is_failing(client: httpx.AsyncClient, loop: Supervised) -> None:
    """Ready while the ledger answers and the loops work; alive in any case."""
    ready = await client.get("/readyz")
    loop.failing = "the bus is away"
    failing = await client.get("/readyz")

    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert failing.status_code == 503
    assert failing.json()["failing"] == ["outbox relay: the bus is away"]
    assert (await client.get("/healthz")).status_code == 200


async def test_it_serves_a_free_port_until_it_is_stopped(app: FastAPI) -> None:
    """Over a real socket: it says when it listens, answers, and lets go of the port."""
    stop = asyncio.Event()
    server = HttpServer(app, "127.0.0.1", 0)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(server.run(stop))
        await server.listening.wait()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            answer = await client.post("/v1/runs", json=_body())
        stop.set()

    assert answer.status_code == 202
    HttpServer(app, "127.0.0.1", server.port).close()  # the port is free again


async def test_a_taken_port_is_told(app: FastAPI) -> None:
    """Before anything is started, with the port."""
    first = HttpServer(app, "127.0.0.1", 0)
    stop = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(first.run(stop))
        await first.listening.wait()
        with pytest.raises(AddressTaken, match=f"port {first.port}"):
            HttpServer(app, "127.0.0.1", first.port)
        stop.set()


def test_the_committed_document_is_current() -> None:
    """docs/reference/openapi.json is what `python -m dispatcher.openapi` writes."""
    assert openapi.main(["--check"]) == 0


async def test_every_operation_is_described(client: httpx.AsyncClient) -> None:
    """A summary and an id for each, and the shape of every error that submitting can give."""
    told = (await client.get("/openapi.json")).json()

    operations = [item for path in told["paths"].values() for item in path.values()]
    assert all(item["summary"] and item["operationId"] for item in operations)
    answers = told["paths"]["/v1/runs"]["post"]["responses"]
    for status in ("400", "404", "409", "413", "422", "503"):
        assert list(answers[status]["content"]) == ["application/problem+json"]
