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


def test_secrets_are_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Kubernetes mounts a Secret: one file a setting; the environment wins; not printed."""
    (tmp_path / "FLEET_BUS_CONNECTION").write_text("Endpoint=sb://x/;SharedAccessKey=hunter2\n")
    (tmp_path / "FLEET_LEDGER_URL").write_text("postgresql://ada:hunter2@db/ledger\n")
    monkeypatch.setenv("FLEET_SECRETS", str(tmp_path))
    monkeypatch.setenv("FLEET_LEDGER_URL", "sqlite:///other.db")

    settings = load_settings()

    assert settings.bus_address == "Endpoint=sb://x/;SharedAccessKey=hunter2"
    assert settings.ledger_address == "sqlite:///other.db"
    assert "hunter2" not in repr(settings)


def test_a_secret_that_nobody_reads_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A misspelt file, and a folder that is not there, are said like a misspelt variable."""
    (tmp_path / "FLEET_BUS_CONECTION").write_text("Endpoint=sb://x/")
    monkeypatch.setenv("FLEET_SECRETS", str(tmp_path))
    with pytest.raises(SettingsRefused, match="FLEET_BUS_CONECTION"):
        load_settings()

    monkeypatch.setenv("FLEET_SECRETS", str(tmp_path / "absent"))
    with pytest.raises(SettingsRefused, match="FLEET_SECRETS"):
        load_settings()
