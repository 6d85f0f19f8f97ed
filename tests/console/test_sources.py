"""Sources by address: what is registered, under which name, and what is shown of it."""

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from console.errors import Refused
from console.sources import given_source, masked


def test_a_folder_is_named_for_its_place(tmp_path: Path) -> None:
    """The name is the folder's, in plain letters, and eight characters of its path's digest."""
    folder = tmp_path / "My Claims (2024)"
    folder.mkdir()

    source = given_source(str(folder))

    assert source is not None
    assert source.name == f"my-claims-2024-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    assert source.address == str(folder)


def test_the_same_folder_has_one_name_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path and an absolute one to the same folder are the same source."""
    (tmp_path / "claims").mkdir()
    monkeypatch.chdir(tmp_path)

    assert given_source("claims") is not None
    assert getattr(given_source("claims"), "name", 1) == getattr(
        given_source(str(tmp_path / "claims")), "name", 2
    )


def test_a_url_keeps_its_password_to_itself() -> None:
    """The address has the password; neither the name nor what is shown has, nor do they depend
    on it."""
    one = given_source("postgresql://ada:hunter2@db.example.net/claims?sslkey=hunter2")
    two = given_source("postgresql://ada:changed@db.example.net/claims?sslkey=hunter2")

    assert one is not None
    assert two is not None
    assert "hunter2" in one.address
    assert "hunter2" not in one.shown + one.name
    assert one.name == two.name
    assert one.name.startswith("claims-")


def test_a_sqlite_file_is_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite file and its URL get an absolute address: workers may stand elsewhere."""
    with sqlite3.connect(tmp_path / "claims.db") as database:
        database.execute("create table t (x)")
    database.close()
    monkeypatch.chdir(tmp_path)

    sources = [given_source("claims.db"), given_source("sqlite:///claims.db")]

    for source in sources:
        assert source is not None
        assert source.address == f"sqlite:///{tmp_path}{os.sep}claims.db"


def test_another_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database is no source: the folder that holds it may be."""
    file = tmp_path / "claims.csv"
    file.write_text("a,b\n")

    with pytest.raises(Refused, match="folder"):
        given_source(str(file))


def test_a_name_is_no_address() -> None:
    """What is neither a path nor a URL is taken for a name."""
    assert given_source("claims") is None


def test_a_url_that_is_none_is_refused_without_repeating_it() -> None:
    """A broken URL may hold a password too."""
    with pytest.raises(Refused) as refused:
        given_source("://ada:hunter2@nowhere")

    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in masked("no url ://ada:hunter2@nowhere")
