"""A secret in a source is refused at the mirror, with its place and without its value."""

from pathlib import Path

import pyarrow as pa
import pytest

from policies.facts import FindingKind
from tests.policies.secrets import HARMLESS, PLANTED, core_of
from workers.stages.handler import StageFault
from workers.stages.mirror_files import MEDIA_TYPES
from workers.stages.secrets_in_sources import (
    refuse_secret_file,
    refuse_secret_names,
    refuse_secret_rows,
)


@pytest.mark.parametrize("name", PLANTED)
def test_a_secret_in_a_row_is_refused_by_column_and_row(name: str) -> None:
    """Of every kind but a place on a machine, which opens nothing."""
    kind, secret = PLANTED[name]
    batch = pa.RecordBatch.from_pydict({"id": [1, 2], "note": [None, f"see {secret}"]})

    if kind is FindingKind.LOCAL_PATH:
        refuse_secret_rows(batch, 101)
        return
    with pytest.raises(StageFault) as raised:
        refuse_secret_rows(batch, 101)

    fault = raised.value.fault
    assert fault.code == "source.secret"
    assert "column note, row 102" in fault.message
    assert core_of(name) not in fault.model_dump_json()


def test_values_that_only_look_like_a_secret_side_by_side_are_mirrored() -> None:
    """The values of a column are looked at together first, and then each by itself."""
    refuse_secret_rows(pa.RecordBatch.from_pydict({"a": ["token:", "abc12345678", *HARMLESS]}), 1)


def test_only_the_rows_of_the_batch_are_looked_at() -> None:
    """A batch may be a part of a larger one, whose other rows lie beside it in memory."""
    token = PLANTED["jwt"][1]
    notes = ["harmless", token.upper(), token, None, "\u017f\u212a-", ""]
    batch = pa.RecordBatch.from_pydict({"note": notes})

    refuse_secret_rows(batch.slice(3), 4)
    refuse_secret_rows(batch.slice(0, 0), 1)
    refuse_secret_rows(pa.RecordBatch.from_pydict({"note": pa.nulls(2, pa.string())}), 1)
    with pytest.raises(StageFault, match="column note, row 3"):
        refuse_secret_rows(batch.slice(2, 2), 3)


def test_a_secret_in_a_column_s_name_is_refused() -> None:
    """Told by its number."""
    with pytest.raises(StageFault, match="the name of column 2"):
        refuse_secret_names(pa.schema([("id", pa.string()), (PLANTED["jwt"][1], pa.string())]))


def test_a_secret_behind_a_hundred_paths_in_a_file_is_refused(tmp_path: Path) -> None:
    """Paths are no secret, and do not hide one."""
    path = tmp_path / "notes.csv"
    lines = [f"{number},{PLANTED['home folder'][1]}" for number in range(150)]
    path.write_text("\n".join((*lines, PLANTED["jwt"][1])), encoding="utf-8")

    with pytest.raises(StageFault, match=r"notes\.csv, line 151"):
        refuse_secret_file(path, "text/csv", "notes.csv")


@pytest.mark.parametrize("name", ["notes", "notes.log", "notes.pdf", "notes.docx"])
def test_text_is_looked_through_whatever_its_suffix(tmp_path: Path, name: str) -> None:
    """One that says nothing of how to read the file, and one that is not what the file holds."""
    path = tmp_path / name
    path.write_text(f"a line of Grüße\n{PLANTED['jwt'][1]}\n", encoding="utf-8")
    media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")

    with pytest.raises(StageFault, match=rf"{name}, line 2"):
        refuse_secret_file(path, media_type, name)


def test_what_is_no_text_is_mirrored_unseen(tmp_path: Path) -> None:
    """The publish gate keeps it in."""
    path = tmp_path / "picture.bin"
    path.write_bytes(b"\x89PIC\0\xff" + PLANTED["jwt"][1].encode())

    refuse_secret_file(path, "application/octet-stream", "picture.bin")
