"""Settings: checked whole, every fault named, secrets kept."""

from pathlib import Path

import pytest

from fleet.settings import SettingsRefused, load_settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("FLEET_")]:
        monkeypatch.delenv(name)


def test_the_defaults_are_enough() -> None:
    """Nothing has to be set for a local fleet but where the bus is."""
    settings = load_settings()

    assert settings.home == Path(".fleet")
    assert settings.ledger_address.startswith("sqlite:///")
    assert all(path.is_dir() for path in (*settings.pipelines, settings.rules))


def test_every_fault_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt name, a wrong type and a missing folder come in one message."""
    monkeypatch.setenv("FLEET_HTTP_PROT", "80")
    monkeypatch.setenv("FLEET_HTTP_PORT", "eighty")
    monkeypatch.setenv("FLEET_RULES", "no-such-folder")

    with pytest.raises(SettingsRefused) as refused:
        load_settings()

    for name in ("FLEET_HTTP_PROT", "FLEET_HTTP_PORT", "FLEET_RULES"):
        assert name in str(refused.value)


def test_a_missing_bus_is_said_with_the_remedy() -> None:
    """Not a traceback in the SDK."""
    with pytest.raises(SettingsRefused, match="FLEET_BUS_CONNECTION is not set"):
        _ = load_settings().bus_address


def test_a_connection_string_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings may end up in a log; their secrets may not."""
    monkeypatch.setenv("FLEET_BUS_CONNECTION", "Endpoint=sb://x/;SharedAccessKey=hunter2")
    monkeypatch.setenv("FLEET_LEDGER_URL", "postgresql://ada:hunter2@db/ledger")

    assert "hunter2" not in repr(load_settings())
