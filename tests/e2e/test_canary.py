"""A canary: a secret given to a running fleet in every way there is lies nowhere in its home.

One file is left out, for it exists to hold what is given: `sources.toml`, with the addresses of
sources, readable by its owner alone. The bus is looked into as it lies on the disk, log and freed
pages included, and artifacts are looked through as what they are (packed Parquet, workbooks, PDF).
"""

import itertools
import json
import shutil
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
from policies.reading import parquet, pdf, workbook
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
    files = {
        path.relative_to(home.folder).as_posix(): path.read_bytes()
        for path in sorted(home.folder.rglob("*"))
        if path.is_file()
    }
    return {name: data for name, data in files.items() if name != "sources.toml"}


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
    nightly = a_request(name="nightly", cron="30 2 * * *", requester="ana")
    given += [
        dispatcher.put("/v1/schedules/nightly", json=nightly | {"parameters": {"a": a_secret()}}),
        dispatcher.put("/v1/schedules/nightly", json=nightly | {"reason": a_token()}),
        dispatcher.put("/v1/schedules/nightly", json=nightly | {a_token(): 1}),
        dispatcher.post("/v1/redrives", json=person | {"everything": True, "reason": a_secret()}),
        dispatcher.post("/v1/lanes/compute/pause", json=person | {"reason": a_token()}),
        dispatcher.post(f"/v1/runs/{run}/cancel", json=person | {"reason": a_secret()}),
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
    _nowhere(home)
    assert stat.S_IMODE((home.folder / "sources.toml").stat().st_mode) == 0o600


def _nowhere(home: Home) -> None:
    """In no byte of the home, once the bus has been quiet for a moment and has emptied its log."""

    def found() -> list[str]:
        return [name for name, data in kept(home).items() if CANARY in data.lower()]

    until(lambda: not found(), "nothing of it left in the home")
    packed = {".parquet": parquet.pieces, ".xlsx": workbook.pieces, ".pdf": pdf.pieces}
    magic = {b"PAR1": ".parquet", b"PK": ".xlsx", b"%PDF": ".pdf"}
    for path in (home.folder / "artifacts").rglob("*"):
        head = path.read_bytes()[:4] if path.is_file() else b""
        kind = next((kind for mark, kind in magic.items() if head.startswith(mark)), None)
        texts = packed[kind](path) if kind else ()
        assert [piece for piece in texts if CANARY in piece.text.lower().encode()] == [], path.name


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


@pytest.mark.parametrize("column", ["claim_id", "awp"])
def test_a_canary_inside_a_source_is_refused_at_the_mirror(
    home: Home, tmp_path: Path, column: str
) -> None:
    """In a key or in a number's place: the fault names column and row, and nothing is stored."""
    home.fleet("demo", *SMALL)
    (database,) = home.folder.rglob("claims.db")
    source = tmp_path / "source.db"  # the source itself is no part of the fleet's home
    shutil.copy(database, source)
    with sqlite3.connect(source) as claims:
        (client,) = claims.execute("select min(client) from claim_lines").fetchone()
        where = "rowid = (select max(rowid) from claim_lines where client = ?)"
        claims.execute(
            f"update claim_lines set {column} = ? where {where}",
            (a_token(), client),
        )
    names = ("--param", f"client={client}", "--tenant", client, "--audience", "tenant")

    ask = ("submit", "guarantee_report", "--param", f"source={source}", *names, "--wait")
    told = json.dumps(home.fleet(*ask, code=1))

    assert "source.secret" in told
    assert f"column {column}, row " in told
    assert CANARY not in told.encode().lower()
    _nowhere(home)


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
