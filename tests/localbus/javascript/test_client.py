"""@azure/service-bus from npm works against localbus; runs where Node.js is."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from localbus.testing import running_bus

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "client.mjs")


@pytest.fixture
def node_project() -> Path:
    """The script with its packages, installed once for each lock file, outside the repository."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed")
    lock = (HERE / "package-lock.json").read_bytes()
    name = f"localbus-npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(exist_ok=True)
    for file in FILES:
        shutil.copyfile(HERE / file, folder / file)
    if not (folder / "installed").exists():
        installed = subprocess.run(
            [npm, "ci", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
        if installed.returncode:
            pytest.skip("npm cannot install @azure/service-bus here")
        (folder / "installed").touch()
    return folder


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
