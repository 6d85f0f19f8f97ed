"""The order of stages: parents first, else as written; and the cycles where there is none."""

from collections.abc import Mapping, Sequence


def parents_first(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """The stages so that each comes after its parents, in the written order wherever that allows
    a choice. Stages in a cycle, and what comes after them, are left out."""
    order: list[str] = []
    waiting = {stage: set(needed) for stage, needed in parents.items()}
    while ready := next((stage for stage, needed in waiting.items() if not needed), None):
        order.append(ready)
        del waiting[ready]
        for needed in waiting.values():
            needed.discard(ready)
    return order


def cycles(parents: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Cycles that share no stage, each told from its first written stage towards its parents.

    Parents that are no stage are ignored: that is another fault.
    """
    left = {stage: [p for p in needed if p in parents] for stage, needed in parents.items()}
    found: list[tuple[str, ...]] = []
    while True:
        settled = set(parents_first(left))
        left = {
            stage: [p for p in needed if p not in settled]
            for stage, needed in left.items()
            if stage not in settled
        }
        if not left:
            return found
        cycle = _one_cycle(left)
        found.append(_from_first_written(cycle, list(parents)))
        left = {
            stage: [p for p in needed if p not in cycle]
            for stage, needed in left.items()
            if stage not in cycle
        }


def _one_cycle(left: Mapping[str, Sequence[str]]) -> list[str]:
    """Every stage left has a parent left, so walking up must come round."""
    walked = [next(iter(left))]
    while (parent := left[walked[-1]][0]) not in walked:
        walked.append(parent)
    return walked[walked.index(parent) :]


def _from_first_written(cycle: list[str], written: list[str]) -> tuple[str, ...]:
    first = min(range(len(cycle)), key=lambda index: written.index(cycle[index]))
    return (*cycle[first:], *cycle[:first])
