"""Plans: the counters that decide when a task is ready are right, however the run unfolds."""

from collections import Counter

import pytest

from contracts.plan import RunGraph, StagePlan


def _stage(name: str, **fields: object) -> StagePlan:
    return StagePlan.model_validate(
        {"name": name, "kind": "x.y", "version": 1, "lane": "l", "payload": {}, **fields}
    )


def test_a_fan_in_waits_for_every_partition() -> None:
    """A list of partitions is known when planning, so the counter is right from the start."""
    graph = RunGraph(
        stages=(
            _stage("part", partitions=("a", "b", "c")),
            _stage("join", needs=("part",)),
        )
    )

    tasks = graph.initial_tasks("run")

    assert Counter(task.stage for task in tasks) == {"part": 3, "join": 1}
    assert [task.pending for task in tasks if task.stage == "join"] == [3]


def test_aligned_stages_wait_partition_by_partition() -> None:
    """Partition p of the second waits for partition p of the first alone."""
    graph = RunGraph(
        stages=(
            _stage("part", partitions=("a", "b")),
            _stage("clean", partitions=("a", "b"), needs=("part",)),
        )
    )

    tasks = graph.initial_tasks("run")

    assert [task.pending for task in tasks if task.stage == "clean"] == [1, 1]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_discovered_fan_out_corrects_its_children(count: int) -> None:
    """It stands as one parent until its width is known; of zero partitions nothing waits."""
    graph = RunGraph(
        stages=(
            _stage("keys"),
            _stage("part", needs=("keys",), discovered_by="keys"),
            _stage("join", needs=("part",)),
        )
    )
    (join,) = (task for task in graph.initial_tasks("run") if task.stage == "join")

    assert join.pending + graph.widened("part", count)["join"] == count


def test_partitions_are_filled_into_the_payload() -> None:
    """`${partition}` is replaced wherever it stands."""
    stage = _stage(
        "part",
        partitions=("2026-01",),
        payload={"name": "m-${partition}", "deep": [{"p": "${partition}"}]},
    )

    (task,) = RunGraph(stages=(stage,)).initial_tasks("run")

    assert task.payload == {"name": "m-2026-01", "deep": [{"p": "2026-01"}]}


def test_planning_twice_plans_the_same_tasks() -> None:
    """Ids derive from run, stage and partition."""
    graph = RunGraph(stages=(_stage("part", partitions=("a", "b")),))

    assert graph.initial_tasks("run") == graph.initial_tasks("run")
    assert len({task.task for task in graph.initial_tasks("run")}) == 2


def test_a_child_before_its_parent_is_refused() -> None:
    """The order of the stages is the order in which they can run."""
    with pytest.raises(ValueError, match="comes before"):
        RunGraph(stages=(_stage("join", needs=("part",)), _stage("part")))
