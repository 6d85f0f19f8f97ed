"""mirror.files on real folders."""

from pathlib import Path

import pytest

from contracts.outcome import Produced
from contracts.stage_payloads import MirrorFiles
from tests.pipelines.harness import run_stage, workbench
from tests.workers.stages.benches import Signals, fault_of
from workers.stages.handler import Workbench
from workers.stages.mirror_files import artifact_name


def mirror(home: Path, *include: str, signals: Signals | None = None, **more: object) -> Workbench:
    """A workbench for mirror.files of `home/source`."""
    payload = MirrorFiles.model_validate({"source": "docs", "include": include, **more})
    return workbench(
        payload,
        home / "scratch",
        sources={"docs": str(home / "source")},
        signals=signals,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "contract.json").write_bytes(b'{"x": 1}')
    (folder / "a" / "old export.csv").write_bytes(b"a,b\r\n1,2\r\n")
    (folder / "other.txt").write_bytes(b"\x00\xff")
    return folder


def test_files_are_copied_byte_for_byte(tmp_path: Path, source: Path) -> None:
    """What matches is copied unchanged, sorted by name; odd signs in names become `_`."""
    made = run_stage(mirror(tmp_path, "*.csv", "contract.json", folder="a"))

    assert isinstance(made, Produced)
    assert [output.name for output in made.outputs] == ["contract.json", "old_export.csv"]
    assert made.outputs[1].path.read_bytes() == b"a,b\r\n1,2\r\n"
    assert made.outputs[1].media_type == "text/csv"
    assert (source / "a" / "old export.csv").exists()


def test_a_file_that_must_be_there_is_missed(tmp_path: Path, source: Path) -> None:
    """Every pattern must match; the fault names the one that does not."""
    kind, code, message = fault_of(mirror(tmp_path, "*.json", "request.json", folder="a"))

    assert (kind, code) == ("bad_input", "source.empty")
    assert "request.json" in message


def test_nothing_outside_the_source_is_read(tmp_path: Path, source: Path) -> None:
    """Neither a folder with dots nor a link leads out."""
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (source / "link.json").symlink_to(tmp_path / "secret.json")

    assert fault_of(mirror(tmp_path, "*", folder=".."))[1] == "source.refused"
    (tmp_path / "scratch").rmdir()
    assert fault_of(mirror(tmp_path, "*.json"))[1] == "source.refused"


@pytest.mark.parametrize("pattern", ["a/../../*.json", "a/..", "a**b", "x/**z"])
def test_a_pattern_that_leads_elsewhere_is_refused(
    tmp_path: Path, source: Path, pattern: str
) -> None:
    """Neither dots nor a malformed pattern is followed."""
    assert fault_of(mirror(tmp_path, pattern))[1] == "source.refused"


@pytest.mark.parametrize("folder", ["absent", "a/contract.json/x"])
def test_a_folder_that_is_away_can_be_tried_again(
    tmp_path: Path, source: Path, folder: str
) -> None:
    """A missing folder is transient and no path of the machine is told."""
    kind, code, message = fault_of(mirror(tmp_path, "*.json", folder=folder))

    assert (kind, code) == ("transient", "source.unreachable")
    assert str(tmp_path) not in message


def test_a_file_that_disappears_meanwhile_fails_all(tmp_path: Path, source: Path) -> None:
    """Listed but gone when its turn comes: a fault with its reason, and no half of a result."""
    signals = Signals(lambda done: (source / "a" / "old export.csv").unlink(missing_ok=True))

    kind, code, _ = fault_of(mirror(tmp_path, "*", folder="a", signals=signals))

    assert (kind, code) == ("transient", "source.unreachable")


def test_more_bytes_than_allowed_are_refused(tmp_path: Path, source: Path) -> None:
    """The limit counts all files together."""
    assert fault_of(mirror(tmp_path, "*", folder="a", at_most_bytes=10))[1] == "source.too_large"


@pytest.mark.parametrize(
    ("relative", "name"),
    [
        ("a/b c.csv", "a/b_c.csv"),
        (".hidden/x.csv", "0.hidden/x.csv"),
        ("1/2/3/4/5/6.csv", "1_2_3/4/5/6.csv"),
        ("Ünal/x.csv", "0_nal/x.csv"),
    ],
)
def test_names_fit_artifacts(relative: str, name: str) -> None:
    """Any path has a name that an artifact may bear."""
    assert artifact_name(relative) == name
