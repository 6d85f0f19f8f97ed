"""A canary: a secret given to a running fleet in every way there is lies nowhere in its home.

Two places are left out, for they exist to hold what is given: `sources.toml`, with the addresses of
sources, readable by its owner alone; and the bus, which keeps what outsiders sent until it is taken
or dropped. What a source holds is mirrored unchanged, for operators, into bronze and silver.
"""

import itertools
import json
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from contracts.states import State
from policies.facts import FindingKind
from policies.scan import scan_file
from tests.e2e.conftest import Home, until
from tests.e2e.test_stack import SMALL

_numbers = itertools.count(10)
CANARY = b"canary"
"""In any case of its letters."""


def a_secret() -> str:
    """Another one each time, so that what is found tells where it came in."""
    return f"https://x.blob.core.windows.net/c/b?sv=2024-01-01&sig=CaNaRy{next(_numbers)}AbCdEf%3D"


def a_token() -> str:
    return f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.CaNaRy{next(_numbers)}AbCdEf"


@pytest.fixture
def dispatcher(home: Home) -> Iterator[httpx.Client]:
    address = f"http://{home.record.http_host}:{home.record.http_port}"
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


def a_request(**changes: Any) -> dict[str, Any]:
    return {
        "pipeline": "claims_reconciliation",
        "parameters": {"source": "nowhere"},
        "scope": {"tenant": "acme"},
        "requester": "upstream",
    } | changes


def kept(home: Home) -> dict[str, bytes]:
    """Every file that the fleet wrote, but for what the module's first lines leave out."""
    left_out = ("sources.toml", "bus/", "artifacts/bronze/", "artifacts/silver/")
    files = {
        path.relative_to(home.folder).as_posix(): path.read_bytes()
        for path in sorted(home.folder.rglob("*"))
        if path.is_file()
    }
    return {name: data for name, data in files.items() if not name.startswith(left_out)}


def test_a_canary_given_in_every_way_is_kept_nowhere(
    home: Home, dispatcher: httpx.Client, tmp_path: Path
) -> None:
    """Bodies, headers, queues, sources with their contents, addresses and names, comments, reasons,
    edits: refused with a reason, or not told again."""
    given = [
        dispatcher.post("/v1/runs", json=a_request(parameters={"source": a_secret()})),
        dispatcher.post("/v1/runs", json=a_request(parameters={a_token(): "x"})),
        dispatcher.post("/v1/runs", json=a_request(requester=a_token())),
        dispatcher.post("/v1/runs", json=a_request(key=a_token())),
        dispatcher.post("/v1/runs", json=a_request(flags=[a_secret()])),
        dispatcher.post("/v1/runs", json=a_request(**{a_token(): 1})),
        dispatcher.post("/v1/runs", content=f'{{"half": "{a_secret()}'),
        dispatcher.post("/v1/runs", json=a_request(), headers={"Idempotency-Key": a_token()}),
        dispatcher.get(f"/v1/runs/{a_token()}"),
        dispatcher.get("/v1/runs", params={"tenant": a_secret(), "state": a_token()}),
    ]
    harmless = dispatcher.post(
        "/v1/runs", json=a_request(), headers={"traceparent": a_token(), "X-Note": a_secret()}
    )
    run = harmless.json()["run"]
    with home.reader() as ledger:
        until(lambda: ledger.run(run).state is State.FAILED, "a run that failed")
        task = next(row.task for row in ledger.tasks(run) if row.state is State.FAILED)
    person = {"requester": "ana", "reason": "again"}
    given += [
        dispatcher.post(f"/v1/tasks/{task}/retry", json=person | {"reason": a_secret()}),
        dispatcher.post(f"/v1/tasks/{task}/retry", json=person | {"set": {"source": a_secret()}}),
        dispatcher.post("/v1/redrives", json=person | {"tasks": [task], "reason": a_token()}),
        dispatcher.post(
            f"/v1/approvals/{task}",
            json={"approver": "ana", "approve": True, "comment": a_token(), "digest": "0" * 64},
        ),
    ]

    assert [answer.status_code // 100 for answer in given] == [4] * len(given)
    assert CANARY not in b"".join(answer.content for answer in given).lower()
    _over_the_bus(home)
    _by_its_sources(home, tmp_path)
    found = [name for name, data in kept(home).items() if CANARY in data.lower()]
    assert found == []
    assert stat.S_IMODE((home.folder / "sources.toml").stat().st_mode) == 0o600


def _over_the_bus(home: Home) -> None:
    """Requests and envelopes, right but for the canary, or not even readable."""
    told: dict[str | bytes, Any] = {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": "leaf.run.request.v1",
        "cloudEvents:id": "asked-once",
    }
    bodies = [
        (told, json.dumps(a_request(parameters={"source": a_secret()}))),
        (told, json.dumps(a_request(**{a_token(): 1}))),
        (told | {"cloudEvents:id": a_token()}, json.dumps(a_request())),
        (told | {"cloudEvents:type": a_token()}, json.dumps(a_request())),
        (told, a_secret()),
    ]
    with (
        home.reader() as ledger,
        ServiceBusClient.from_connection_string(home.bus_connection) as client,
    ):
        before = len(ledger.dead_letters(1000))
        for queue in ("intake", "lane-compute"):
            with client.get_queue_sender(queue) as sender:
                for properties, body in bodies:
                    sender.send_messages(
                        ServiceBusMessage(
                            body, application_properties=properties, message_id=a_token()
                        )
                    )
        wanted = before + 2 * len(bodies)
        until(lambda: len(ledger.dead_letters(1000)) >= wanted, "all of them refused")


def _by_its_sources(home: Home, folder: Path) -> None:
    """An address with a password, a folder of that name, files of that name and with it inside."""
    password = f"CaNaRy{next(_numbers)}Password1"
    away = f"postgresql+psycopg://ana:{password}@127.0.0.1:1/claims?password={password}"
    named = folder / a_token()
    named.mkdir()
    (named / f"{a_token()}.csv").write_text(f"Id,NOTE\n1,{a_secret()}\n", encoding="utf-8")
    for source in (away, str(named)):
        ask = ("submit", "claims_reconciliation", "--param", f"source={source}", "--wait")
        told = home.fleet(*ask, code=1)
        assert CANARY not in json.dumps(told).encode().lower()


def test_a_canary_inside_a_source_gets_no_further_than_the_mirror(home: Home) -> None:
    """In a key, in a number's place, of claims that are read, split off and reported on: it stays
    in bronze and silver and in the rows that were split off, which are for operators."""
    home.fleet("demo", *SMALL)
    (database,) = home.folder.rglob("claims.db")
    with sqlite3.connect(database) as claims:
        (client,) = claims.execute("select min(client) from claim_lines").fetchone()
        for column, secret in (("claim_id", a_token()), ("awp", a_secret()), ("ndc", a_secret())):
            where = (
                f"rowid = (select max(rowid) - {next(_numbers)} from claim_lines where client = ?)"
            )
            claims.execute(f"update claim_lines set {column} = ? where {where}", (secret, client))
    names = ("--param", f"client={client}", "--tenant", client, "--audience", "tenant")

    told = home.fleet("submit", "guarantee_report", *names, "--wait")

    assert told["state"] == "succeeded"
    files = kept(home)
    found = [name for name, data in files.items() if CANARY in data.lower()]
    inside = ("demo/input/", "artifacts/evidence/")
    assert [name for name in found if not name.startswith(inside)] == []
    assert any(name.startswith("artifacts/presented/") for name in files)


def test_logs_tell_no_secret_and_no_place(home: Home) -> None:
    """After all of the above every log is as clean as what leaves for a tenant."""
    logs = sorted((home.folder / "logs").glob("*.log"))

    found = {log.stem: scan_file(log, "text/plain", places=(str(home.folder),)) for log in logs}

    assert len(logs) >= 4
    assert all(report.scanned for report in found.values())
    # The bus tells the one who started it where its certificate is, and nothing else.
    bus = found.pop("localbus").findings
    assert {finding.kind for finding in bus} <= {FindingKind.LOCAL_PATH}
    assert {name: report.findings for name, report in found.items() if report.findings} == {}
