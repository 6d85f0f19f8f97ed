"""Pipelines on disk: what belongs to one, and when it is read again."""

import os
from pathlib import Path

import pytest

from dispatcher.faults import PipelineRefused, PipelineUnknown
from dispatcher.pipeline_folder import MAX_FILES, PipelineFolders
from tests.dispatcher.pipelines import FILES, REGISTRY, YAML, a_folder


def _folders(*roots: Path) -> PipelineFolders:
    return PipelineFolders(roots, REGISTRY)


def test_a_pipeline_comes_with_all_its_files(tmp_path: Path) -> None:
    """The bytes of every file of the folder, by relative path."""
    a_folder(tmp_path)

    loaded = _folders(tmp_path).load("monthly")

    assert loaded.files == {path: text.encode() for path, text in FILES.items()}


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    """An owner's change counts for the next run; an untouched folder is not read twice."""
    folder, folders = a_folder(tmp_path), _folders(tmp_path)
    first = folders.load("monthly")

    unchanged = folders.load("monthly")
    (folder / "sql" / "months.sql").write_text("select 1 as month")
    changed = folders.load("monthly")

    assert unchanged is first
    assert changed.files["sql/months.sql"] == b"select 1 as month"


def test_a_refused_pipeline_is_refused_until_it_is_mended(tmp_path: Path) -> None:
    """The same faults each time, then the pipeline."""
    folder, folders = a_folder(tmp_path), _folders(tmp_path)
    (folder / "pipeline.yaml").write_text(YAML.replace("mirror.keys", "mirror.kyes"))

    for _ in range(2):
        with pytest.raises(PipelineRefused, match="line 12"):
            folders.load("monthly")
    (folder / "pipeline.yaml").write_text(YAML)

    assert folders.load("monthly").located.pipeline.version == 3


def test_the_first_root_wins(tmp_path: Path) -> None:
    """A site's own folder can stand before the packaged one."""
    a_folder(tmp_path / "own", {**FILES, "pipeline.yaml": YAML.replace("version: 3", "version: 9")})
    a_folder(tmp_path / "packaged")
    a_folder(tmp_path / "packaged", name="broken")

    folders = _folders(tmp_path / "own", tmp_path / "packaged")

    assert folders.load("monthly").located.pipeline.version == 9
    assert folders.names() == ["broken", "monthly"]


@pytest.mark.parametrize("name", ["nothing", "..", "", "mon*", "monthly/sql", "../monthly"])
def test_an_unknown_name_tells_which_there_are(tmp_path: Path, name: str) -> None:
    """A name that is no pipeline's finds none, whatever it is made of."""
    a_folder(tmp_path)

    with pytest.raises(PipelineUnknown, match="there are: monthly"):
        _folders(tmp_path).load(name)


def test_links_out_of_the_folder_are_no_files_of_it(tmp_path: Path) -> None:
    """A link inside is followed, as in a mounted ConfigMap; one that leads out is not there."""
    folder = a_folder(tmp_path)
    (tmp_path / "secret.sql").write_text("select 'secret'")
    (folder / "sql" / "out.sql").symlink_to(tmp_path / "secret.sql")
    (folder / "sql" / "in.sql").symlink_to(folder / "sql" / "months.sql")

    files = _folders(tmp_path).load("monthly").files

    assert "sql/out.sql" not in files
    assert files["sql/in.sql"] == files["sql/months.sql"]


def test_hidden_and_unusable_names_are_left_out(tmp_path: Path) -> None:
    """Editors' and interpreters' leavings are not part of a pipeline."""
    folder = a_folder(tmp_path)
    (folder / "a" / "b" / "c" / "d").mkdir(parents=True)
    for name in (".swp", "notes draft.txt", "Makefile", "_x.sql", "-x.sql", "a/b/c/d/x.sql"):
        (folder / name).write_text("x")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"")
    os.mkfifo(folder / "pipe.sql")

    assert set(_folders(tmp_path).load("monthly").files) == set(FILES)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    """A folder that is no pipeline's is not read into memory."""
    folder = a_folder(tmp_path)
    for number in range(MAX_FILES):
        (folder / f"f{number}.sql").touch()

    with pytest.raises(PipelineRefused, match="more than 200 files"):
        _folders(tmp_path).load("monthly")


def test_a_pipeline_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are told as such."""
    (a_folder(tmp_path) / "pipeline.yaml").write_bytes(b"\xff\xfe")

    with pytest.raises(PipelineRefused, match="not UTF-8"):
        _folders(tmp_path).load("monthly")


def test_a_file_with_a_secret_refuses_the_pipeline(tmp_path: Path) -> None:
    """Files are stored and sent along: a prompt or a query with a password in it is named."""
    query = "select * from claims -- Server=db;Password=hunter2hunter2;"
    a_folder(tmp_path, {**FILES, "sql/claims.sql": query})

    with pytest.raises(PipelineRefused, match=r"sql/claims\.sql holds what looks like") as refused:
        _folders(tmp_path).load("monthly")

    assert "hunter2" not in str(refused.value)
