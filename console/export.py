"""The artifacts of a run as files that people open."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.artifacts.folder import FolderStore
from fleet.artifacts.manifest import export_run
from fleet.ledger.rows import ArtifactRow


def exported(
    rows: Iterable[ArtifactRow], store: Path, folder: Path, *, as_json: bool
) -> Iterator[str]:
    """Copy the artifacts and say where each lies, a line each, sorted by path.

    Raises ExportRefused, ArtifactMissing, ArtifactDamaged.
    """
    placed = export_run((row.pointer for row in rows), FolderStore(store), folder)
    for path, pointer in placed.items():
        if as_json:
            yield json.dumps({"path": path, **pointer.model_dump(mode="json")})
        else:
            yield str(folder / path)
