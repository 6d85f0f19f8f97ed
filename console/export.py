"""The artifacts of a run as files that people open."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from fleet.artifacts.manifest import export_run
from fleet.artifacts.store import ArtifactStore
from fleet.ledger.decided import DecidedRow
from fleet.ledger.rows import ArtifactRow


def exported(
    rows: Iterable[ArtifactRow],
    store: ArtifactStore,
    folder: Path,
    *,
    decisions: Iterable[DecidedRow],
    as_json: bool,
) -> Iterator[str]:
    """Copy the artifacts, put the run's decisions beside them, and say where each artifact lies, a
    line each, sorted by path.

    Raises ExportRefused, ArtifactMissing, ArtifactDamaged.
    """
    placed = export_run(
        (row.pointer for row in rows),
        store,
        folder,
        decisions=(row.model_dump_json() for row in decisions),
    )
    for path, pointer in placed.items():
        if as_json:
            yield json.dumps({"path": path, **pointer.model_dump(mode="json")})
        else:
            yield str(folder / path)
