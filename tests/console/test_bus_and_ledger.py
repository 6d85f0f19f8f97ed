"""`fleet bus apply` and `fleet ledger migrate`, as a script runs them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.cli import app
from fleet.bus.bus import INTAKE_QUEUE
from fleet.lanes import load_lanes
from localbus.testing import running_bus

RUN = CliRunner()


def test_check_fails_until_it_was_applied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` ends with 1 and lists what is missing, changing nothing; after `apply` it ends with
    0 and lists nothing."""
    with running_bus(tmp_path) as bus:
        monkeypatch.setenv("FLEET_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("FLEET_BUS_CONNECTION", bus.admin_connection_string)
        monkeypatch.setenv("FLEET_BUS_CERTIFICATE", bus.certificate)

        before = RUN.invoke(app, ["bus", "apply", "--check", "--json"])
        made = RUN.invoke(app, ["bus", "apply", "--json"])
        after = RUN.invoke(app, ["bus", "apply", "--check", "--json"])

    assert (before.exit_code, made.exit_code, after.exit_code) == (1, 0, 0)
    told = [json.loads(line) for line in before.stdout.splitlines()]
    assert {one["entity"] for one in told} == {INTAKE_QUEUE, *(one.queue for one in load_lanes())}
    assert {one["action"] for one in told} == {"create"}
    assert made.stdout == before.stdout
    assert after.stdout == ""


def test_migrating_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first makes the tables, the second finds them; a file has no accounts to grant to."""
    monkeypatch.setenv("FLEET_HOME", str(tmp_path / "home"))

    first, again = (RUN.invoke(app, ["ledger", "migrate", "--json"]) for _ in range(2))
    granted = RUN.invoke(app, ["ledger", "migrate", "--readers", "somebody"])

    one, two = json.loads(first.stdout), json.loads(again.stdout)
    assert one["was"] is None
    assert two["was"] == two["is"] == one["is"] is not None
    assert granted.exit_code != 0
