"""mirror.files: the matching files of a folder, byte for byte, into bronze.

Promises: nothing outside the source's folder is read (links that lead out are refused), names are
taken in sorted order, and a file that changes or goes away while it is copied fails the stage.
"""

import os
import re
from pathlib import Path, PurePosixPath

from contracts.artifact import Tier
from contracts.outcome import FaultKind, Output, Produced
from contracts.stage_payloads import MirrorFiles
from workers.stages.faults import plain, stop_if_cancelled
from workers.stages.handler import StageFault, Workbench
from workers.stages.reading import address_of, folder_of, payload_of
from workers.stages.secrets_in_sources import refuse_secret_file

MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
}
_CHUNK = 1 << 20
_DEEPEST = 4
"""Parts of an artifact's name."""


def mirror_files(bench: Workbench) -> Produced:
    """Copy what matches. Raises StageFault (source.*)."""
    payload = payload_of(bench, MirrorFiles)
    source = folder_of(address_of(bench, payload.source))
    if source is None:
        raise StageFault(
            FaultKind.PERMANENT, "source.refused", f"source {payload.source} is not a folder"
        )
    try:
        return _copy_matching(bench, payload, source)
    except OSError as error:
        raise StageFault(
            FaultKind.TRANSIENT,
            "source.unreachable",
            f"source {payload.source} cannot be read: {plain(error.strerror or 'gone')}",
        ) from None


def _copy_matching(bench: Workbench, payload: MirrorFiles, source: Path) -> Produced:
    root = source.resolve(strict=True)
    folder = (root / payload.folder).resolve(strict=True)
    if not folder.is_relative_to(root):
        raise StageFault(
            FaultKind.PERMANENT, "source.refused", f"{payload.folder} is outside the source"
        )
    files = _matching(payload, root, folder)
    outputs: list[Output] = []
    copied = 0
    for name, path in sorted(files.items()):
        stop_if_cancelled(bench.signals)
        bench.signals.progress(len(outputs), len(files), name)
        target = bench.scratch / "files" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copied += _copy(path, target, name, payload.at_most_bytes - copied)
        media_type = MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")
        refuse_secret_file(target, media_type, name)
        outputs.append(Output(name=name, path=target, media_type=media_type, tier=Tier.BRONZE))
    return Produced(outputs=tuple(outputs), facts={"files": len(outputs), "bytes": copied})


def _matching(payload: MirrorFiles, root: Path, folder: Path) -> dict[str, Path]:
    """Artifact name to real path."""
    files: dict[str, Path] = {}
    for pattern in payload.include:
        matches = _files(folder, pattern)
        if not matches:
            raise StageFault(
                FaultKind.BAD_INPUT, "source.empty", f"no file matches {pattern}", pattern=pattern
            )
        for path in matches:
            real = path.resolve(strict=True)
            if not real.is_relative_to(root):
                raise StageFault(
                    FaultKind.PERMANENT, "source.refused", f"{path.name} leads out of the source"
                )
            name = artifact_name(path.relative_to(folder).as_posix())
            if files.setdefault(name, real) != real:
                raise StageFault(
                    FaultKind.BAD_INPUT, "source.keys", f"two files would be named {name}"
                )
    return files


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        if ".." not in PurePosixPath(pattern).parts:
            return [path for path in folder.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError):  # `a**b`, or an absolute pattern
        pass
    raise StageFault(FaultKind.PERMANENT, "source.refused", f"{pattern} is no pattern in a folder")


def artifact_name(relative: str) -> str:
    """A file's relative path in the signs that artifacts' names may have."""
    parts = PurePosixPath(relative).parts
    parts = (
        ("_".join(parts[: -_DEEPEST + 1]), *parts[-_DEEPEST + 1 :])
        if (len(parts) > _DEEPEST)
        else parts
    )
    plain_parts = [re.sub(r"[^A-Za-z0-9._=-]", "_", part) for part in parts]
    return "/".join(
        (part if part[0].isalnum() else f"0{part}")[-120:].lstrip("._=-") for part in plain_parts
    )


def _copy(path: Path, target: Path, name: str, room: int) -> int:
    """Copy in chunks; returns the bytes. The file must be the same before and after."""
    with path.open("rb") as reader, target.open("wb") as writer:
        before = os.fstat(reader.fileno())
        copied = 0
        while chunk := reader.read(_CHUNK):
            copied += len(chunk)
            if copied > room:
                raise StageFault(
                    FaultKind.BAD_INPUT, "source.too_large", f"{name} is past the limit of bytes"
                )
            writer.write(chunk)
        after = path.stat()
    if (before.st_ino, before.st_size, before.st_mtime_ns, before.st_size) != (
        after.st_ino,
        after.st_size,
        after.st_mtime_ns,
        copied,
    ):
        raise StageFault(
            FaultKind.TRANSIENT, "source.changed", f"{name} changed while it was copied"
        )
    return copied
