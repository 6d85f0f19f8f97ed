"""The folder store: the promises of every store, and those of its files."""

import hashlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.artifact import Tier
from fleet.artifacts.errors import ArtifactRefused
from fleet.artifacts.folder import FolderStore
from tests.fleet.artifacts.conformance import Damage, StoreConformance, a_pointer

_PUT_UNTIL_KILLED = """
import os, sys
from pathlib import Path
from contracts.artifact import Tier
from fleet.artifacts.folder import FolderStore
store = FolderStore(Path(sys.argv[1]))
while True:
    store.put_bytes(Tier.BRONZE, os.urandom(400_000))
    print("put", flush=True)
"""


class TestFolderStore(StoreConformance):
    """The folder store keeps what every store promises."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        return FolderStore(tmp_path / "artifacts")

    @pytest.fixture
    def damage(self, tmp_path: Path, store: FolderStore) -> Damage:
        def overwrite(tier: Tier, digest: str, data: bytes) -> None:
            place = tmp_path / "artifacts" / tier / digest[:2] / digest
            place.chmod(0o644)
            place.write_bytes(data)

        return overwrite


def test_files_lie_under_their_key_and_are_read_only(tmp_path: Path) -> None:
    """An artifact is the file `<tier>/<aa>/<sha256>`, without write permission for anyone."""
    store = FolderStore(tmp_path)
    pointer = a_pointer(store.put_bytes(Tier.BRONZE, b"rows"))

    assert store.local_path(pointer) == tmp_path / pointer.key
    assert (tmp_path / pointer.key).stat().st_mode & 0o222 == 0


def test_a_put_leaves_nothing_behind(tmp_path: Path) -> None:
    """After puts, repeated and refused ones too, `incoming` is empty."""
    store = FolderStore(tmp_path / "store")
    store.put_bytes(Tier.BRONZE, b"rows")
    store.put_bytes(Tier.BRONZE, b"rows")
    with pytest.raises(ArtifactRefused):
        store.put_file(Tier.BRONZE, tmp_path)

    assert list((tmp_path / "store" / "incoming").iterdir()) == []


def test_a_crash_leaves_no_half_artifact(tmp_path: Path) -> None:
    """A process killed in the middle of putting leaves only whole artifacts, and what it left in
    `incoming` is swept."""
    root = tmp_path / "store"
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", _PUT_UNTIL_KILLED, str(root)], stdout=subprocess.PIPE
        ) as putting:
            assert putting.stdout is not None
            for _ in range(4):
                putting.stdout.readline()
            putting.send_signal(signal.SIGKILL)

    whole = [path for path in (root / "bronze").rglob("*") if path.is_file()]
    assert len(whole) >= 12
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in whole)
    FolderStore(root).sweep(before=datetime.now(UTC) + timedelta(minutes=1))
    assert list((root / "incoming").iterdir()) == []


def test_a_sweep_spares_what_is_being_put(tmp_path: Path) -> None:
    """Only files that nobody has written to since the given moment are swept."""
    store = FolderStore(tmp_path)
    old, new = tmp_path / "incoming" / "old", tmp_path / "incoming" / "new"
    for path, written in ((old, 1_000_000), (new, 3_000_000)):
        path.write_bytes(b"half")
        os.utime(path, (written, written))

    assert store.sweep(before=datetime.fromtimestamp(2_000_000, UTC)) == 1
    assert not old.exists()
    assert new.exists()
