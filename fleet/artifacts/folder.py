"""The artifact store on a folder: `<root>/<tier>/<aa>/<sha256>`, each file read-only.

Bytes are written to `<root>/incoming/`, in the same file system, with the digest taken in the same
pass; then synced, then renamed to their name, then the folder is synced. A crash leaves at most a
file in `incoming`, which `sweep` removes. Any number of processes may use one root.

Putting what is there already checks what is there, and replaces it where it was damaged.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from datetime import datetime
from io import BufferedReader
from pathlib import Path

from contracts.artifact import ArtifactPointer, Tier
from fleet.artifacts.errors import ArtifactDamaged, ArtifactMissing, ArtifactRefused
from fleet.artifacts.store import Stored, key

CHUNK = 1 << 20
"""Bytes that are in memory at a time."""
_READ_ONLY = 0o444


class FolderStore:
    """An ArtifactStore. Creates `root` where it is missing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put_file(self, tier: Tier, path: Path) -> Stored:
        """See ArtifactStore."""
        with regular_file(path) as source:
            return self._put(tier, iter(lambda: source.read(CHUNK), b""))

    def put_bytes(self, tier: Tier, data: bytes) -> Stored:
        """See ArtifactStore."""
        return self._put(tier, iter((data,)))

    def read(self, pointer: ArtifactPointer) -> bytes:
        """See ArtifactStore."""
        with self._opened(pointer) as source:
            data = source.read()
        check(pointer, hashlib.sha256(data).hexdigest(), len(data))
        return data

    def local_path(self, pointer: ArtifactPointer) -> Path:
        """See ArtifactStore. The file is the stored one."""
        with self._opened(pointer) as source:
            found = hashlib.file_digest(source, "sha256").hexdigest()
            size = source.tell()
        check(pointer, found, size)
        return self._root / pointer.key

    def put_chunks(self, tier: Tier, chunks: Iterator[bytes]) -> Stored:
        """Store what comes in pieces, as `put_bytes` would the whole. What `chunks` raises goes
        through, and nothing is stored then."""
        return self._put(tier, chunks)

    def has(self, tier: Tier, digest: str) -> bool:
        """See ArtifactStore."""
        return (self._root / key(tier, digest)).is_file()

    def sweep(self, before: datetime) -> int:
        """See ArtifactStore: what crashed puts left in `incoming`."""
        swept = 0
        for left in sorted(self._incoming.iterdir()):
            with contextlib.suppress(FileNotFoundError):  # its put has just completed
                if left.stat().st_mtime < before.timestamp():
                    left.unlink()
                    swept += 1
        return swept

    def _put(self, tier: Tier, chunks: Iterator[bytes]) -> Stored:
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        incoming = Path(name)
        try:
            hasher, size = hashlib.sha256(), 0
            with os.fdopen(descriptor, "wb") as target:
                for chunk in chunks:
                    hasher.update(chunk)
                    size += target.write(chunk)
                stored = Stored(digest=hasher.hexdigest(), size=size)
                place = self._root / key(tier, stored.digest)
                known = _digest_of(place) == stored.digest
                if not known:
                    os.fchmod(target.fileno(), _READ_ONLY)
                    target.flush()
                    os.fsync(target.fileno())
            if not known:
                self._make_folder(place.parent)
                incoming.replace(place)
            # Also where it was known: the process that put it may not have come to this line.
            _sync_folder(place.parent)
            return stored
        finally:
            incoming.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        _sync_folder(folder.parent)
        _sync_folder(self._root)

    @contextlib.contextmanager
    def _opened(self, pointer: ArtifactPointer) -> Iterator[BufferedReader]:
        try:
            descriptor = os.open(self._root / pointer.key, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise ArtifactMissing(pointer.uri) from None
        with os.fdopen(descriptor, "rb") as source:
            yield source


def regular_file(path: Path) -> BufferedReader:
    """The file, opened for reading. Raises ArtifactRefused for a link, a folder or a pipe."""
    refused = f"file {path.name!r}"
    try:
        # A link could lead out of a handler's scratch; opening a pipe could wait forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as fault:
        raise ArtifactRefused(refused, f"cannot be opened: {fault.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArtifactRefused(refused, "not a regular file")
    return os.fdopen(descriptor, "rb")


def check(pointer: ArtifactPointer, digest: str, size: int) -> None:
    """Raises ArtifactDamaged unless digest and size are the pointer's."""
    if size != pointer.size:
        raise ArtifactDamaged(pointer.uri, f"{size} bytes where the pointer says {pointer.size}")
    if digest != pointer.digest:
        raise ArtifactDamaged(pointer.uri, f"their SHA-256 is {digest}")


def _digest_of(place: Path) -> str | None:
    try:
        with place.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
