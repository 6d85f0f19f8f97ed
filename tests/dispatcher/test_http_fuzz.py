"""The HTTP API under requests that schemathesis makes from its OpenAPI document.

A real dispatcher on a socket, a real ledger and a real bus, so that no answer of 500 and above has
an excuse. A few examples of each operation here; `make fuzz-http` asks for many.
"""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from dispatcher.resend import Resender
from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import INTAKE_QUEUE, open_bus
from fleet.ledger.ledger import Ledger
from localbus.testing import running_bus
from tests.dispatcher.conftest import Hands, Served

_EXAMPLES = os.environ.get("FUZZ_HTTP_EXAMPLES", "2")
"""Of each operation."""
_PHASES = os.environ.get("FUZZ_HTTP_PHASES", "examples,fuzzing")
"""Its phase `coverage` alone makes a thousand requests."""
_SEED = os.environ.get("FUZZ_HTTP_SEED", "7")
_THERE = 0.7
"""How often a parameter names something that is there."""


@pytest.fixture
async def resender(
    ledger: Ledger, store: FolderStore, clock: Hands, tmp_path: Path
) -> AsyncIterator[Resender]:
    with running_bus(tmp_path / "bus", queues=[INTAKE_QUEUE, "lane-mirror"]) as broker:
        async with open_bus(broker.connection_string, store) as bus:
            yield Resender(ledger=ledger, bus=bus, clock=clock, chance=bytes)


async def test_no_request_that_the_document_suggests_is_a_server_error(
    served: Served, tmp_path: Path
) -> None:
    """Requests that fit the document, and ones that break it, are answered below 500."""
    await asyncio.to_thread(served.home.run, 2, broken=True)
    await asyncio.to_thread(served.home.dead_letter, "not JSON")
    config = tmp_path / "schemathesis.toml"
    config.write_text(await _config(served))

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        *(f"{served.address}/openapi.json", "--checks", "not_a_server_error"),
        *(
            "--phases",
            _PHASES,
            "--max-examples",
            _EXAMPLES,
            "--seed",
            _SEED,
            "--generation-database",
            "none",
        ),
        *("--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=tmp_path,
    )
    said, _ = await process.communicate()

    told = said.decode(errors="replace")
    print(told)
    assert process.returncode == 0, told
    assert f"Tested: {await _operations(served)}\n" in told, told


def _cursor(values: list[object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


async def test_what_cannot_be_meant_is_the_callers_fault(served: Served) -> None:
    """Numbers that no row can have, cursors of no list, bodies that are no JSON: below 500."""
    run = served.run
    asked = [
        ("GET", f"/v1/artifacts/{run}/{2**63}/0", b""),
        ("GET", f"/v1/artifacts/{run}/0/{2**70}", b""),
        ("GET", f"/v1/redrives/{run}/items?start={2**70}", b""),
        ("POST", f"/v1/dead-letters/messages/lane-mirror/{2**63}/resend", b"{}"),
        ("GET", "/v1/audit?after=" + _cursor([10**19]), b""),
        ("GET", "/v1/audit?after=" + _cursor([2**63 - 1]), b""),
        ("GET", f"/v1/runs/{run}/tasks?after=" + _cursor(["\ud800", "x"]), b""),
        ("GET", f"/v1/runs/{run}/artifacts?after=" + _cursor(["a", "b", "c", 0, 2**64]), b""),
        ("GET", "/v1/audit?after=" + base64.urlsafe_b64encode(b"[" * 9000).decode(), b""),
        ("GET", "/v1/runs", b"{not JSON"),
        ("POST", "/v1/runs", b"[" * 100_000),
        ("POST", "/v1/runs", json.dumps({"requester": "\ud800", "\udfff": 1}).encode()),
        ("POST", "/v1/redrives", b"\xff\xfe"),
    ]
    async with httpx.AsyncClient(base_url=served.address) as client:
        for method, path, body in asked:
            for kind in ("application/json", "text/plain"):
                answer = await client.request(
                    method, path, content=body, headers={"content-type": kind}
                )
                assert answer.status_code < 500, (method, path[:80], kind, answer.text)


async def _config(served: Served) -> str:
    """Lets parameters name runs, tasks and groups that are there, about as often as not."""
    runs = [row["run"] for row in (await served.ask("/v1/runs")).json()]
    tasks = [
        row["task"] for run in runs for row in (await served.ask(f"/v1/runs/{run}/tasks")).json()
    ]
    groups = [row["fingerprint"] for row in (await served.ask("/v1/dead-letters/groups")).json()]
    there = {
        "runs": ["path.run"],
        "tasks": ["path.task"],
        "groups": ["body.group"],
        "pipelines": ["body.pipeline", "path.name"],
        "tenants": ["body.scope.tenant"],
        "queues": ["path.queue"],
        "numbers": ["path.sequence_number"],
        "small": ["path.epoch", "path.position"],
    }
    values: dict[str, list[str] | list[int]] = {
        "runs": runs,
        "tasks": tasks,
        "groups": groups,
        "pipelines": ["monthly"],
        "tenants": ["acme"],
        "queues": ["lane-mirror"],
        "numbers": [7],
        "small": [0, 1],
    }
    # What JSON writes of lists and texts is TOML too.
    lines = [
        f"[dictionaries.{name}]\nvalues = {json.dumps(those)}" for name, those in values.items()
    ]
    lines.append("[parameters]")
    lines += [
        f'"{place}" = {{ dictionary = "{name}", probability = {_THERE} }}'
        for name, places in there.items()
        for place in places
    ]
    return "\n".join(lines)


async def _operations(served: Served) -> int:
    async with httpx.AsyncClient(base_url=served.address) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    return sum(len(path) for path in paths.values())
