"""Archiving: what ended long ago leaves the ledger for a file in the artifact store.

A file holds whole runs, a row a line: `{"table": "task", ...}`, compressed by gzip, named by its
digest. It is stored before anything is deleted: a crash in between stores it again, under the same
name when nothing has changed. The dispatcher does so by itself where FLEET_KEEP_DAYS is set;
`fleet archive` does it at once.
"""

import asyncio
import gzip
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.artifact import ArtifactPointer, Scope, Tier
from contracts.fact import Fact
from fleet.artifacts.store import ArtifactStore
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import EndedRun

MEDIA_TYPE = "application/gzip"
RUNS_AT_ONCE = 200
TASKS_AT_ONCE = 5000
"""Of one file, and of the transaction that deletes what is in it; a wider run is a file alone."""
_OWN = Scope(tenant="fleet")
"""Archives hold runs of all tenants: they are the operators'."""


class Archived(Fact):
    """What one step did, or would do."""

    runs: int
    tasks: int
    rows: int = 0
    archive: ArtifactPointer | None = None
    """The file; none of a preview, or of a total."""


class Archiver:
    """Archives runs of one ledger that ended before a time, the oldest first."""

    def __init__(self, ledger: Ledger, store: ArtifactStore, clock: Clock, actor: str) -> None:
        self._ledger, self._store, self._clock, self._actor = ledger, store, clock, actor

    async def preview(self, before: datetime) -> Archived:
        """What would be archived now."""
        runs, tasks = await self._ledger.count_ended(before)
        return Archived(runs=runs, tasks=tasks)

    async def step(self, before: datetime) -> Archived | None:
        """Archive the next runs, as many as make one file; None once there are none.

        Raises OSError where the store fails; then nothing was deleted.
        """
        runs = _fitting(await self._ledger.ended_runs(before, RUNS_AT_ONCE))
        if not runs:
            return None
        tasks = sum(one.tasks for one in runs)
        pointer, rows = await asyncio.to_thread(self._written, runs)
        deleted = await self._ledger.prune(
            runs, archive_=pointer, rows=rows, now=self._clock.now(), actor=self._actor
        )
        return Archived(runs=deleted, tasks=tasks, rows=rows, archive=pointer)

    def _written(self, runs: Sequence[EndedRun]) -> tuple[ArtifactPointer, int]:
        rows = 0
        with tempfile.TemporaryDirectory(prefix="archive-") as folder:
            path = Path(folder) / "runs.jsonl.gz"
            # No name and no time in the header: the same runs make the same bytes.
            with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                for table, row in self._ledger.whole(runs):
                    packed.write(f"{json.dumps({'table': table} | row, default=_plain)}\n".encode())
                    rows += 1
            stored = self._store.put_file(Tier.EVIDENCE, path)
        pointer = ArtifactPointer(
            name="runs.jsonl.gz",
            digest=stored.digest,
            size=stored.size,
            media_type=MEDIA_TYPE,
            rows=rows,
            tier=Tier.EVIDENCE,
            scope=_OWN,
        )
        return pointer, rows


async def archived(
    archiver: Archiver, before: datetime, told: Callable[[Archived], None]
) -> Archived:
    """Archive all that ended before a time; `told` of each step. The totals."""
    runs = tasks = rows = 0
    while (done := await archiver.step(before)) is not None:
        told(done)
        runs, tasks, rows = runs + done.runs, tasks + done.tasks, rows + done.rows
        if not done.runs:
            break  # all of them were opened again meanwhile
    return Archived(runs=runs, tasks=tasks, rows=rows)


def _fitting(runs: Sequence[EndedRun]) -> tuple[EndedRun, ...]:
    """As many as make one file; at least one."""
    chosen: list[EndedRun] = []
    tasks = 0
    for one in runs:
        if chosen and tasks + one.tasks > TASKS_AT_ONCE:
            break
        chosen.append(one)
        tasks += one.tasks
    return tuple(chosen)


def _plain(value: Any) -> str:
    """Times, as ISO 8601."""
    assert isinstance(value, datetime), value
    return value.isoformat()
