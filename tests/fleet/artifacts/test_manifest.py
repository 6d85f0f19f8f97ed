"""The manifest and the export of a run."""

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.artifact import ArtifactPointer, Provenance, Scope, Tier
from fleet.artifacts.folder import FolderStore
from fleet.artifacts.manifest import ExportRefused, export_run, layout, manifest


def made(
    digest: str, stage: str | None, partition: str = "", name: str = "rows.csv", size: int = 1
) -> ArtifactPointer:
    provenance = stage and Provenance(
        run="r", stage=stage, partition=partition, attempt=1, code="1"
    )
    return ArtifactPointer(
        name=name,
        digest=digest,
        size=size,
        media_type="text/csv",
        tier=Tier.BRONZE,
        scope=Scope(tenant="acme"),
        provenance=provenance or None,
    )


def put(
    store: FolderStore, data: bytes, stage: str | None, partition: str = "", name: str = "rows.csv"
) -> ArtifactPointer:
    stored = store.put_bytes(Tier.BRONZE, data)
    return made(stored.digest, stage, partition, name, stored.size)


def test_paths_say_stage_partition_and_name() -> None:
    """A person finds an artifact by stage, partition and name."""
    assert list(
        layout(
            [
                made("a" * 64, "mirror", "2026-01", "claims/rows.csv"),
                made("b" * 64, "publish", "", "packet.json"),
                made("c" * 64, None, "", "request.json"),
            ]
        )
    ) == ["given/request.json", "mirror/2026-01/claims/rows.csv", "publish/packet.json"]


def test_sha256sum_checks_an_export(tmp_path: Path) -> None:
    """`sha256sum -c` passes in an export folder, hostile partitions and collisions included, and
    fails when a byte changes."""
    store = FolderStore(tmp_path / "store")
    pointers = [
        put(store, b"1", "mirror", "a b\n*é"),
        put(store, b"2", "mirror", "../../up"),
        put(store, b"3", "mirror", ".."),
        put(store, b"4", "compute", name="same"),
        put(store, b"5", "compute", name="same"),
        put(store, b"6", "compute", name="Same"),
        put(store, b"7", "compute", name="same/below"),
    ]
    folder = tmp_path / "export"

    placed = export_run(pointers, store, folder)

    check = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(check, check=False, cwd=folder, capture_output=True).returncode == 0
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {*placed, "SHA256SUMS"}
    assert len(placed) == len(pointers)
    (folder / next(iter(placed))).write_bytes(b"changed")
    assert subprocess.run(check, check=False, cwd=folder, capture_output=True).returncode == 1


def test_an_export_never_mixes_with_what_is_there(tmp_path: Path) -> None:
    """A folder that holds anything is refused and stays as it was."""
    (tmp_path / "mine").write_text("mine")

    with pytest.raises(ExportRefused):
        export_run([], FolderStore(tmp_path / "store-elsewhere"), tmp_path)


def test_the_same_artifacts_give_the_same_manifest() -> None:
    """Order and repeats of the pointers do not show."""
    named = [("a", "b", "x"), ("b", "a", "x"), ("c", "a", "X"), ("d", "a", "x/y")]
    pointers = [made(c * 64, stage, name=n) for c, stage, n in named]
    texts = {manifest((*some, some[0])) for some in itertools.permutations(pointers)}

    assert len(texts) == 1


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1),
            st.text(),
            st.sampled_from(["x", "X", "x/y"]),
            st.sampled_from("ab"),
        )
    )
)
def test_every_artifact_has_a_place_inside(asked: list[tuple[str, str, str, str]]) -> None:
    """Whatever stages and partitions are called, paths stay inside and no artifact is lost."""
    placed = layout(made(c * 64, stage, part, name) for stage, part, name, c in asked)

    for path in placed:
        assert not path.startswith("/")
        assert not {".", "..", ""} & set(path.split("/"))
        assert path.isprintable()
    wanted = {(stage, part, name, c * 64) for stage, part, name, c in asked}
    kept = {(p.digest, p.name) for p in placed.values()}
    assert kept == {(digest, name) for _, _, name, digest in wanted}
