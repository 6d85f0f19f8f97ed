"""Sources by name: kept on this machine, for its owner alone."""

import stat
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.sources import SourceUnknown, addresses, read_sources, register_sources


def test_a_registered_source_is_found_by_name(tmp_path: Path) -> None:
    """Others stay; quotes and backslashes in an address survive."""
    path = tmp_path / "sources.toml"

    register_sources(path, {"claims": "sqlite:///c.db"})
    register_sources(path, {"odd": 'C:\\data\\"x"'})

    assert addresses(path, ["claims", "odd"]) == {
        "claims": "sqlite:///c.db",
        "odd": 'C:\\data\\"x"',
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unknown_source_is_named_with_those_there_are(tmp_path: Path) -> None:
    """The message is for whoever sent the request: names only, no address."""
    path = tmp_path / "sources.toml"
    register_sources(path, {"claims": "postgresql://ada:hunter2@db/claims"})

    with pytest.raises(SourceUnknown, match=r"no source named 'claim'.*there are: claims") as told:
        addresses(path, ["claim"])

    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("name", ["", "A", "../x", "a b", "x" * 101])
def test_a_name_that_could_be_something_else_is_refused(tmp_path: Path, name: str) -> None:
    """Names travel; they must be plain."""
    with pytest.raises(FleetError, match="not a source name"):
        register_sources(tmp_path / "sources.toml", {name: "x"})


def test_no_file_means_no_sources(tmp_path: Path) -> None:
    """A fresh machine."""
    assert read_sources(tmp_path / "sources.toml") == {}
