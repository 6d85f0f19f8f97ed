"""The artifacts of a run under names that people read, with a list that `sha256sum -c` checks.

A path is `<stage>/<partition>/<name>`; no partition leaves no level, and what no stage made lies
under `given/`. Stage and partition are percent-encoded, so that neither can name a place outside
the export. Where two artifacts would meet at one path, each gets the start of its digest as a
suffix. The same pointers give the same paths and the same bytes, in whatever order they come.
"""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from contracts.artifact import ArtifactPointer
from fleet.artifacts.store import ArtifactStore
from fleet.errors import FleetError

SUMS = "SHA256SUMS"
DECISIONS = "decisions.jsonl"
"""No stage is called so: a stage's name has no dot."""
_GIVEN = "given"


class ExportRefused(FleetError):
    """The folder to export into holds something already. Nothing was written."""


def layout(pointers: Iterable[ArtifactPointer]) -> dict[str, ArtifactPointer]:
    """Every artifact by its path in an export, sorted by path."""
    wanted: dict[str, dict[str, ArtifactPointer]] = defaultdict(dict)
    for pointer in pointers:
        wanted[_path(pointer)].setdefault(pointer.digest, pointer)
    # Compared in one case: an export may be opened on a file system that does not tell them apart.
    spellings: dict[str, list[str]] = defaultdict(list)
    for path in wanted:
        spellings[path.casefold()].append(path)
    folders = {str(above) for path in spellings for above in PurePosixPath(path).parents}
    placed: dict[str, ArtifactPointer] = {}
    for path, by_digest in wanted.items():
        folded = path.casefold()
        alone = len(by_digest) == 1 and len(spellings[folded]) == 1 and folded not in folders
        for digest, pointer in by_digest.items():
            placed[path if alone else f"{path}~{digest[:16]}"] = pointer
    return dict(sorted(placed.items()))


def manifest(pointers: Iterable[ArtifactPointer]) -> str:
    """The text of SHA256SUMS: one `<sha256>  <path>` a line, sorted by path."""
    return _sums(layout(pointers))


def export_run(
    pointers: Iterable[ArtifactPointer],
    store: ArtifactStore,
    folder: Path,
    *,
    decisions: Iterable[str] | None = None,
) -> dict[str, ArtifactPointer]:
    """Copy the artifacts into an empty or new folder, SHA256SUMS last. Returns the layout.

    `decisions`: lines of JSON that go along as decisions.jsonl, under the same checksums.

    Raises ExportRefused, ArtifactMissing, ArtifactDamaged. An export without SHA256SUMS was
    interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ExportRefused(f"the folder {folder.name!r} is not empty; nothing was exported")
    placed = layout(pointers)
    for path, pointer in placed.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.local_path(pointer), target)
    sums = _sums(placed)
    if decisions is not None:
        data = "".join(f"{line}\n" for line in decisions).encode()
        (folder / DECISIONS).write_bytes(data)
        sums += f"{hashlib.sha256(data).hexdigest()}  {DECISIONS}\n"
    (folder / SUMS).write_text(sums, encoding="utf-8", newline="\n")
    return placed


def _sums(placed: dict[str, ArtifactPointer]) -> str:
    return "".join(f"{pointer.digest}  {path}\n" for path, pointer in placed.items())


def _path(pointer: ArtifactPointer) -> str:
    made = pointer.provenance
    above = (_GIVEN,) if made is None else (made.stage, made.partition)
    return "/".join((*(_encoded(step) for step in above if step), pointer.name))


def _encoded(step: str) -> str:
    if not step.strip("."):  # `.` and `..` are places
        return step.replace(".", "%2E")
    return quote(step, safe="")
