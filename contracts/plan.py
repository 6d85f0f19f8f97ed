"""The graph of a run, and what follows when one of its tasks closes. Pure: the ledger applies it.

A stage without `each` is one task. A stage with `each` is one task a partition: of a list written
in the pipeline, or of what an earlier stage discovered. Tasks wait on a counter of parents, so a
completion costs the same however wide the fan-in is.
"""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import Field, JsonValue, model_validator

from contracts.artifact import ArtifactPointer
from contracts.fact import Fact, JsonObject
from contracts.ids import task_id
from contracts.limit import Slot

PARTITION_MARK = "${partition}"


class StagePlan(Fact):
    """One stage, with every parameter but the partition filled in."""

    name: str
    kind: str
    version: int
    lane: str
    payload: JsonObject
    files: dict[str, ArtifactPointer] = {}
    """The pipeline's files that this stage reads, by relative path."""
    needs: tuple[str, ...] = ()
    """Stages whose outputs are inputs, the discovering stage included."""
    discovered_by: str | None = None
    """The stage whose partitions this one fans out over, when they are only known at run time."""
    partitions: tuple[str, ...] | None = None
    """Partitions known when planning."""
    deterministic: bool = False
    isolated: bool = False
    """Its tasks ask for a pod of their own."""
    slots: tuple[Slot, ...] = ()
    """What each task needs to run, by the pipeline's limits; `{partition}` not yet filled in."""

    @property
    def fans_out(self) -> bool:
        return self.discovered_by is not None or self.partitions is not None


class PlannedTask(Fact):
    """One task, ready for the ledger. `pending` counts the parents it still waits for."""

    task: str
    stage: str
    partition: str = ""
    kind: str
    version: int
    lane: str
    payload: JsonObject
    pending: int = Field(ge=0)


class RunGraph(Fact):
    """All stages of a run, parents before children."""

    stages: tuple[StagePlan, ...]

    @model_validator(mode="after")
    def _parents_come_first(self) -> Self:
        seen: set[str] = set()
        for stage in self.stages:
            if missing := set(stage.needs) - seen:
                raise ValueError(f"stage {stage.name!r} comes before {sorted(missing)}")
            if stage.name in seen:
                raise ValueError(f"two stages are named {stage.name!r}")
            seen.add(stage.name)
        return self

    def stage(self, name: str) -> StagePlan:
        """Raises KeyError."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def aligned(self, parent: StagePlan, child: StagePlan) -> bool:
        """Whether partition p of `child` needs only partition p of `parent`."""
        if not (parent.fans_out and child.fans_out):
            return False
        return (parent.discovered_by, parent.partitions) == (child.discovered_by, child.partitions)

    def children(self, stage: str) -> tuple[StagePlan, ...]:
        """The stages that need `stage`."""
        return tuple(child for child in self.stages if stage in child.needs)

    def discoveries(self, stage: str) -> tuple[StagePlan, ...]:
        """The stages that fan out over what `stage` discovers."""
        return tuple(child for child in self.stages if child.discovered_by == stage)

    def initial_tasks(self, run: str) -> list[PlannedTask]:
        """Every task that is known before anything has run.

        A stage that is yet to be discovered stands as one parent in its children's counters;
        `widened` corrects them when its partitions are known.
        """
        widths = {s.name: 1 if s.partitions is None else len(s.partitions) for s in self.stages}
        tasks: list[PlannedTask] = []
        for stage in self.stages:
            if stage.discovered_by is None:
                partitions = ("",) if stage.partitions is None else stage.partitions
                tasks += self.tasks_of(run, stage, partitions, widths)
        return tasks

    def tasks_of(
        self, run: str, stage: StagePlan, partitions: Iterable[str], open_parents: Mapping[str, int]
    ) -> list[PlannedTask]:
        """The tasks of one stage. `open_parents`: unfinished tasks by stage (an aligned parent
        with any unfinished task counts as one)."""
        pending = 0
        for need in stage.needs:
            unfinished = open_parents.get(need, 0)
            pending += min(unfinished, 1) if self.aligned(self.stage(need), stage) else unfinished
        return [
            PlannedTask(
                task=task_id(run, stage.name, partition),
                stage=stage.name,
                partition=partition,
                kind=stage.kind,
                version=stage.version,
                lane=stage.lane,
                payload=_filled(stage.payload, partition),
                pending=pending,
            )
            for partition in partitions
        ]

    def widened(self, stage: str, count: int) -> dict[str, int]:
        """By how much the counters of waiting children change when `stage` turns out to have
        `count` partitions. Children aligned with it are discovered with it, and not counted."""
        expanded = self.stage(stage)
        return {
            child.name: count - 1
            for child in self.children(stage)
            if not self.aligned(expanded, child)
        }


def _filled(payload: JsonObject, partition: str) -> JsonObject:
    def fill(value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            return value.replace(PARTITION_MARK, partition)
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return value

    return {key: fill(value) for key, value in payload.items()}
