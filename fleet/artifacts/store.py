"""What every artifact store promises, whatever it keeps its bytes on.

An artifact is named by the SHA-256 of its bytes, so putting it twice stores it once and a reader
can prove what it got. A put is all or nothing: when it returns, the bytes survive a crash; when
it raises or the machine stops, no reader ever sees a part of them.

The same suite, tests/fleet/artifacts/conformance.py, holds every store to this.
Who may read or write what is decided before, by the policy gates.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Protocol

from contracts.artifact import ArtifactPointer, Sha256, Tier
from contracts.fact import Fact
from fleet.artifacts.errors import ArtifactRefused

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Stored(Fact):
    """What a put tells of the bytes: enough for a pointer. `size` in bytes."""

    digest: Sha256
    size: int


class ArtifactStore(Protocol):
    """Blocking: call it from a thread where an event loop must not wait."""

    def put_file(self, tier: Tier, path: Path) -> Stored:
        """Store a copy of a file; the file stays where it is.

        Raises ArtifactRefused for what is no regular file (a link, a folder, a pipe), and OSError
        where the medium fails.
        """

    def put_bytes(self, tier: Tier, data: bytes) -> Stored:
        """Store bytes. Raises OSError where the medium fails."""

    def read(self, pointer: ArtifactPointer) -> bytes:
        """The bytes, proven to be the pointer's. Raises ArtifactMissing, ArtifactDamaged."""

    def local_path(self, pointer: ArtifactPointer) -> Path:
        """A file on this machine that holds the bytes, proven when this returns. Never write to it.

        Raises ArtifactMissing, ArtifactDamaged.
        """

    def has(self, tier: Tier, digest: str) -> bool:
        """Whether a put of these bytes has completed. Raises ArtifactRefused for no digest."""

    def sweep(self, before: datetime) -> int:
        """Remove what crashes left on this machine and nobody has touched since `before`; how many
        files that were. Never an artifact.

        `before` is aware and well past the longest put, for a slow put is not told from a dead one.
        """


def key(tier: Tier, digest: str) -> str:
    """The store's key, `<tier>/<aa>/<sha256>`. Raises ArtifactRefused for no digest."""
    if _DIGEST.fullmatch(digest) is None:
        raise ArtifactRefused(f"artifact:{tier}/?", "not the SHA-256 of anything, in lower case")
    return f"{Tier(tier)}/{digest[:2]}/{digest}"
