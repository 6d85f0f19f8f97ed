"""`fleet config`: settings with their origin, and no secret among them."""

import json
from pathlib import Path

import pytest

from fleet.sources import register_sources
from tests.console.conftest import Fleet
from tests.console.ledgers import Home

SECRET = "hunter2"
BUS = f"Endpoint=sb://bus.example.net/;SharedAccessKeyName=root;SharedAccessKey={SECRET}="


def test_each_setting_says_where_it_comes_from(
    fleet: Fleet, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An option wins over the environment, and that over a default; each says which it was."""
    monkeypatch.setenv("FLEET_HTTP_PORT", "1234")

    told = json.loads(fleet("--home", str(tmp_path), "config", "--json").out)["settings"]

    assert told["FLEET_HTTP_PORT"] == {"value": "1234", "origin": "environment"}
    assert told["FLEET_HOME"] == {"value": str(tmp_path), "origin": "option"}
    assert told["FLEET_HTTP_HOST"] == {"value": "127.0.0.1", "origin": "default"}


def test_no_secret_is_shown(fleet: Fleet, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the bus, passwords of the ledger and of sources are masked, in both answers."""
    monkeypatch.setenv("FLEET_BUS_CONNECTION", BUS)
    monkeypatch.setenv("FLEET_LEDGER_URL", f"postgresql://fleet:{SECRET}@db/x?token={SECRET}")
    address = f"mssql://reader:{SECRET}@warehouse/claims"
    register_sources(home.folder / "sources.toml", {"warehouse": address})

    drawn, told = fleet("config"), fleet("config", "--json")

    for done in (drawn, told):
        assert done.code == 0
        assert SECRET not in done.out + done.err
        assert "bus.example.net" in done.out
        assert "warehouse/claims" in done.out


def test_without_a_stack_it_says_so(fleet: Fleet) -> None:
    """`stack` is null while none is running."""
    assert json.loads(fleet("config", "--json").out)["stack"] is None
