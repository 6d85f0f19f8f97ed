"""The artifact store: writable, and what was recorded last is there unchanged."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from console.doctor.finding import Finding, fault, ok
from console.site import Site
from contracts.artifact import Tier
from fleet.artifacts.errors import ArtifactDamaged, ArtifactMissing
from fleet.errors import FleetError
from fleet.ledger.reader import LedgerReader

_PART = "store"
_RUNS, _SAMPLE = 5, 50
_LARGEST = 8 << 20
"""Bytes of an artifact that is read whole for this."""


def look_at_store(site: Site) -> Iterator[Finding]:
    """The folder itself, or whether the container answers."""
    folder = site.settings.artifacts_folder
    if site.settings.artifacts_url is not None:
        yield from _look_at_container(site)
        return
    if not folder.exists():
        yield ok(_PART, "nothing is stored yet")
        return
    try:
        _write_and_remove(folder)
    except OSError as cause:
        yield fault(
            _PART,
            f"nothing can be stored: {cause.strerror or type(cause).__name__}",
            f"{folder.name} must be a folder that the fleet's account may write to, with room left",
        )
    else:
        yield ok(_PART, "it can be written to")


def look_at_artifacts(site: Site, reader: LedgerReader) -> Iterator[Finding]:
    """The latest recorded artifacts, read again and compared with their digests."""
    folder = site.settings.artifacts_folder
    pointers = [
        row.pointer
        for run in reader.runs(limit=_RUNS)
        for row in reader.artifacts(run.run)
        if row.pointer.size <= _LARGEST
    ][:_SAMPLE]
    if not pointers or (site.settings.artifacts_url is None and not folder.is_dir()):
        return
    store, bad = site.store(), 0
    for pointer in pointers:
        try:
            store.read(pointer)
        except (ArtifactMissing, ArtifactDamaged) as cause:
            bad += 1
            yield fault(
                _PART,
                str(cause),
                "bring the file back from a backup, or run the stage again: the same inputs give "
                "the same bytes",
            )
    if not bad:
        yield ok(_PART, f"the latest {len(pointers)} artifacts are there, as they were recorded")


def _look_at_container(site: Site) -> Iterator[Finding]:
    try:
        site.store().has(Tier.EVIDENCE, "0" * 64)
    except (FleetError, OSError) as cause:
        yield fault(
            _PART,
            str(cause),
            "does FLEET_ARTIFACTS_URL name the container, and may this process's identity read and "
            "write blobs there (role Storage Blob Data Contributor)?",
        )
    else:
        yield ok(_PART, "the container answers")


def _write_and_remove(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
        probe.write(b"probe")
        probe.flush()
        os.fsync(probe.fileno())
