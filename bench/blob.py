"""What a large artifact costs the process that stores and reads it: `make bench-blob`.

    python -m bench.blob                   1 GiB to an Azurite of its own, and back
    python -m bench.blob --url URL         to a container that is there, as whoever this process is

Prints one JSON object; exits with 1 where the process held more memory than it may.
"""

import argparse
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from contracts.artifact import ArtifactPointer, Scope, Tier

_MIB = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a container; default: on an Azurite of its own")
    parser.add_argument("--mib", type=int, default=1024, help="size of the artifact")
    parser.add_argument("--most-mib", type=int, default=200, help="memory that it may take")
    asked = parser.parse_args()
    if asked.url is not None:
        return _measured(asked.url, asked.mib, asked.most_mib)
    with _own_azurite() as url:
        # In a process of its own, so that only the store's memory is counted.
        again = ["--url", url, "--mib", str(asked.mib), "--most-mib", str(asked.most_mib)]
        return subprocess.run([sys.executable, "-m", "bench.blob", *again], check=False).returncode


def _measured(url: str, mib: int, most_mib: int) -> int:
    from fleet.artifacts.blob import open_blob_store
    from fleet.identity import default_credential

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "artifact"
        with file.open("wb") as target:
            for _ in range(mib):
                target.write(os.urandom(_MIB))
        store = open_blob_store(url, folder / "copies", default_credential())
        at = time.perf_counter()
        stored = store.put_file(Tier.BRONZE, file)
        put = time.perf_counter() - at
        pointer = ArtifactPointer(
            name="artifact",
            digest=stored.digest,
            size=stored.size,
            media_type="application/octet-stream",
            tier=Tier.BRONZE,
            scope=Scope(tenant="acme"),
        )
        at = time.perf_counter()
        copy = store.local_path(pointer)
        got = time.perf_counter() - at
        store.close()
        with copy.open("rb") as source:
            same = hashlib.file_digest(source, "sha256").hexdigest() == stored.digest
    held = _most_held_mib()
    facts = {
        "mib": mib,
        "put_seconds": round(put, 2),
        "get_seconds": round(got, 2),
        "held_mib": round(held),
        "most_mib": most_mib,
        "same": same,
    }
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0 if same and held < most_mib else 1


def _most_held_mib() -> float:
    """The most that was resident. getrusage's answer is at least the parent's, from before exec."""
    status = Path("/proc/self/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kib) / 1024


@contextlib.contextmanager
def _own_azurite() -> Iterator[str]:
    import pytest

    from localbus.certificate import ensure_certificate
    from tests.servers.azurite import running_azurite
    from tests.servers.tokens import be_a_pod, running_token_service

    with tempfile.TemporaryDirectory() as name:
        certificate, key = ensure_certificate(Path(name), "127.0.0.1")
        with (
            running_azurite(Path(name) / "blobs", certificate, key) as azurite,
            running_token_service(certificate, key) as tokens,
            pytest.MonkeyPatch.context() as patch,
        ):
            be_a_pod(patch, Path(name), tokens, certificate)
            yield azurite.container("artifacts")


if __name__ == "__main__":
    sys.exit(main())
