"""What never changes about a run, read once a process: its graph, what every envelope repeats."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, select

from contracts.decision import Decision
from contracts.plan import RunGraph, StagePlan
from contracts.promised import files_text
from contracts.request import RunRequest
from fleet.ledger import tables
from fleet.ledger.rows import LaneLimits

_KEPT = 64


@dataclass(frozen=True, slots=True)
class Child:
    """A stage that waits for another. `aligned`: each partition for its own partition only."""

    stage: StagePlan
    aligned: bool


@dataclass(frozen=True, slots=True)
class Kin:
    """A stage's place in the graph, worked out once: comparing partitions costs their number."""

    stage: StagePlan
    children: tuple[Child, ...]
    discoveries: tuple[StagePlan, ...]
    narrow: tuple[tuple[str, bool], ...]
    """Needs answered by one task each, and whether that is the one of the same partition."""
    wide: tuple[str, ...]
    """Needs answered by every partition of a stage."""
    files: str
    """The stage's files, as JSON."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run's unchanging facts."""

    run: str
    graph: RunGraph
    head: dict[str, Any]
    """What the envelopes of all its tasks share."""
    traceparent: str | None
    lane_limits: dict[str, LaneLimits]
    kin: dict[str, Kin]

    def max_attempts(self, lane: str) -> int:
        return self.lane_limits.get(lane, LaneLimits()).max_attempts


def run_facts(
    *,
    run: str,
    request: RunRequest,
    graph: RunGraph,
    admitted: Decision,
    traceparent: str | None,
    lane_limits: dict[str, LaneLimits],
) -> RunFacts:
    """The facts of a run, from what was said when it started."""
    return RunFacts(
        run=run,
        graph=graph,
        head={
            "run": run,
            "pipeline": request.pipeline,
            "scope": request.scope.model_dump(mode="json"),
            "requester": request.requester,
            "priority": request.priority,
            "flags": list(request.flags),
            "generation": admitted.generation,
        },
        traceparent=traceparent,
        lane_limits=lane_limits,
        kin={stage.name: _kin(graph, stage) for stage in graph.stages},
    )


def _kin(graph: RunGraph, stage: StagePlan) -> Kin:
    needs = [graph.stage(need) for need in stage.needs]
    aligned = {need.name: graph.aligned(need, stage) for need in needs}
    return Kin(
        stage=stage,
        children=tuple(
            Child(child, graph.aligned(stage, child)) for child in graph.children(stage.name)
        ),
        discoveries=graph.discoveries(stage.name),
        narrow=tuple(
            (need.name, aligned[need.name])
            for need in needs
            if aligned[need.name] or not need.fans_out
        ),
        wide=tuple(need.name for need in needs if need.fans_out and not aligned[need.name]),
        files=files_text(stage.files),
    )


_cached: WeakKeyDictionary[Engine, OrderedDict[str, RunFacts]] = WeakKeyDictionary()


def facts_of(connection: Connection, runs: Iterable[str]) -> dict[str, RunFacts]:
    """The facts of recorded runs, the most recently used ones from memory."""
    cache = _cached.setdefault(connection.engine, OrderedDict())
    found: dict[str, RunFacts] = {}
    missing: list[str] = []
    for run in dict.fromkeys(runs):
        if (known := cache.get(run)) is None:
            missing.append(run)
        else:
            cache.move_to_end(run)
            found[run] = known
    if missing:
        for row in connection.execute(
            select(
                tables.run.c.run,
                tables.run.c.request,
                tables.run.c.graph,
                tables.run.c.admitted,
                tables.run.c.traceparent,
                tables.run.c.lane_limits,
            ).where(tables.run.c.run.in_(missing))
        ):
            found[row.run] = cache[row.run] = run_facts(
                run=row.run,
                request=RunRequest.model_validate_json(row.request),
                graph=RunGraph.model_validate_json(row.graph),
                admitted=Decision.model_validate_json(row.admitted),
                traceparent=row.traceparent,
                lane_limits={
                    lane: LaneLimits.model_validate(limits)
                    for lane, limits in row.lane_limits.items()
                },
            )
        while len(cache) > _KEPT:
            cache.popitem(last=False)
    return found
