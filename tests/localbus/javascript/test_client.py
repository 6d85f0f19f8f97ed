"""@azure/service-bus from npm works against localbus; runs where Node.js is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from localbus.testing import running_bus
from tests.servers.npm import npm_folder


@pytest.fixture
def node_project() -> Path:
    """The script with its packages."""
    return npm_folder(Path(__file__).parent)


def test_the_javascript_client_works_as_it_is(node_project: Path, tmp_path: Path) -> None:
    """It sends, receives, settles in every way, defers, peeks, schedules, and uses sessions."""
    with running_bus(tmp_path, queues=["orders"]) as bus:
        bus.create_queue("steps", requires_session=True)
        ended = subprocess.run(
            ["node", "client.mjs", bus.connection_string, "orders", "steps"],
            cwd=node_project,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        left = bus.counts("orders")

    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["alone"] == ["alone", "m1", 7]
    assert seen["again"] == ["abandon", 1]
    assert seen["deferred"] == "defer"
    assert seen["dead"] == ["dead", "why"]
    assert seen["peeked"] == [["later", "scheduled"]]
    assert seen["session"] == ["a1", "a2"]
    assert (seen["state"], seen["next"]) == ("halfway", "b")
    assert left == {"active": 0, "deferred": 0, "scheduled": 1, "dead_letter": 0}
