"""Verify: run a run's deterministic stages again from their recorded inputs, and compare digests.

Nothing is recorded or stored: the outputs are made in a scratch folder and thrown away. A stage is
the same when each output has the digest that the ledger recorded.
"""

import functools
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from contracts.artifact import ArtifactPointer, is_listing
from contracts.fact import Fact
from contracts.outcome import Failed, Produced
from contracts.payload import PayloadRegistry
from contracts.plan import RunGraph
from contracts.states import State
from fleet.artifacts.store import ArtifactStore
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import TaskDetail
from workers.bench import NO_SIGNALS, SHELVES
from workers.gathering import stage_of
from workers.guard import guarded
from workers.input_files import input_files
from workers.stages.handler import InputFile, Run, StageHandler, Workbench
from workers.stages.scratch import Scratch

_CHUNK = 1 << 20


class Verified(Fact):
    """One task, run again."""

    task: str
    stage: str
    partition: str
    same: bool
    outputs: int
    difference: str | None = None
    """The first one: which output, and both digests; or why it could not be made again."""


class Verification(Fact):
    """What verifying a run found."""

    run: str
    same: bool
    checked: int
    """Tasks that were run again."""
    skipped: int
    """Tasks of stages that are not deterministic: they copy from a source, or ask a model."""
    first_difference: Verified | None
    tasks: tuple[Verified, ...]


def verify(
    run: str,
    *,
    reader: LedgerReader,
    store: ArtifactStore,
    registry: PayloadRegistry,
    handlers: Mapping[tuple[str, int], StageHandler],
    scratch: Path,
) -> Verification:
    """Verify one run. Raises UnknownRow where the ledger has none of this id."""
    graph = reader.graph(run)
    rows = [row for row in reader.tasks(run) if row.state is State.SUCCEEDED]
    checked = []
    for row in rows:
        if not registry.find(row.kind, row.version).DETERMINISTIC:
            continue
        with Scratch(scratch) as folder:
            task = reader.task(row.task)
            bench = _bench(task, graph, store, registry, folder)
            checked.append(_compared(task, guarded(_plain(handlers, task), bench)))
    return Verification(
        run=run,
        same=bool(checked) and all(task.same for task in checked),
        checked=len(checked),
        skipped=len(rows) - len(checked),
        first_difference=next((task for task in checked if not task.same), None),
        tasks=tuple(checked),
    )


def _plain(handlers: Mapping[tuple[str, int], StageHandler], task: TaskDetail) -> Run:
    """The task's handler; deterministic stages are plain functions, never coroutines."""
    return cast(Run, handlers[task.kind, task.version].run)


def _bench(
    task: TaskDetail,
    graph: RunGraph,
    store: ArtifactStore,
    registry: PayloadRegistry,
    scratch: Scratch,
) -> Workbench:
    """What the task worked on then: its recorded payload, inputs and files."""
    files = graph.stage(task.stage).files
    return Workbench(
        payload=registry.find(task.kind, task.version).model_validate(task.payload),
        inputs=_by_stage(task.inputs, store, scratch),
        files={name: store.local_path(pointer) for name, pointer in files.items()},
        sources={},
        scope=task.outputs[0].scope,
        folder=scratch,
        signals=NO_SIGNALS,
    )


def _compared(task: TaskDetail, outcome: Produced | Failed) -> Verified:
    recorded = {pointer.name: pointer.digest for pointer in task.outputs}
    difference = next(_differences(outcome, recorded), None)
    return Verified(
        task=task.task,
        stage=task.stage,
        partition=task.partition,
        same=difference is None,
        outputs=len(recorded),
        difference=difference,
    )


def _by_stage(
    inputs: tuple[ArtifactPointer, ...], store: ArtifactStore, scratch: Scratch
) -> dict[str, Sequence[InputFile]]:
    grouped: dict[str, list[ArtifactPointer]] = defaultdict(list)
    for pointer in inputs:
        if pointer.provenance is not None:
            grouped[pointer.provenance.stage].append(pointer)
        elif is_listing(pointer):
            grouped[stage_of(pointer)].append(pointer)
    return {
        stage: input_files(pointers, functools.partial(scratch.place, SHELVES, stage), store)
        for stage, pointers in grouped.items()
    }


def _differences(outcome: Produced | Failed, recorded: Mapping[str, str]) -> Iterator[str]:
    if isinstance(outcome, Failed):
        yield f"it failed this time: {outcome.fault.code}: {outcome.fault.message}"
        return
    made = {output.name: _digest(output.path) for output in outcome.outputs}
    for name in sorted({*made, *recorded}):
        if name not in made:
            yield f"{name} was not made this time"
        elif name not in recorded:
            yield f"{name} was not made then"
        elif made[name] != recorded[name]:
            yield f"{name} is {made[name][:12]} and was {recorded[name][:12]}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
