"""What never changes about a run, read once a process: its graph, what every envelope repeats."""

import functools
import json
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, bindparam, select, type_coerce

from contracts.decision import Decision
from contracts.plan import RunGraph, StagePlan
from contracts.promised import files_text
from contracts.request import RunRequest
from fleet.ledger import tables
from fleet.ledger.moves import IDS, chunks
from fleet.ledger.rows import LaneLimits
from fleet.ledger.types import AnyRow, Text

_KEPT = 16 * 1024 * 1024
"""Characters of the graphs that are kept, with some for each run; in memory it is more."""
_SMALLEST = 1024
_SHORT = 16 * 1024
"""Characters of a graph that is remembered for other runs."""


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
    slots: dict[str, Any]
    """The envelope's field, where the stage has any."""


class Planned:
    """A graph, and the kin of its stages as they are asked for. Runs of one plan share it."""

    def __init__(self, graph: RunGraph) -> None:
        self.graph = graph
        self.kin: Mapping[str, Kin] = _KinTable(graph)


class _KinTable(dict[str, Kin]):
    """The kin of each stage, by name."""

    def __init__(self, graph: RunGraph) -> None:
        super().__init__()
        self._graph = graph

    def __missing__(self, stage: str) -> Kin:
        self[stage] = kin = _kin(self._graph, self._graph.stage(stage))
        return kin


class RunFacts(ABC):
    """One run's unchanging facts; each is read when it is first asked for, as most tasks of a short
    run need few of them."""

    def __init__(self, run: str, traceparent: str | None) -> None:
        self.run, self.traceparent = run, traceparent

    @property
    def graph(self) -> RunGraph:
        return self.planned.graph

    @property
    def kin(self) -> Mapping[str, Kin]:
        return self.planned.kin

    @functools.cached_property
    @abstractmethod
    def planned(self) -> Planned:
        """Its graph."""

    @functools.cached_property
    @abstractmethod
    def head(self) -> dict[str, Any]:
        """What the envelopes of all its tasks share."""

    @property
    @abstractmethod
    def start_at(self) -> datetime | None:
        """No task of the run starts earlier."""

    @abstractmethod
    def max_attempts(self, lane: str) -> int:
        """What the lane allowed when the run was planned."""


class SaidFacts(RunFacts):
    """The facts of a run, from what was said when it started."""

    def __init__(
        self,
        run: str,
        traceparent: str | None,
        *,
        request: RunRequest,
        graph: RunGraph,
        text: str,
        admitted: Decision,
        lane_limits: dict[str, LaneLimits],
    ) -> None:
        """`text`: the graph as it is recorded."""
        super().__init__(run, traceparent)
        self._request, self._graph, self._text, self._admitted = request, graph, text, admitted
        self._lane_limits = lane_limits

    @functools.cached_property
    def planned(self) -> Planned:
        return _planned_alike(self._text) if len(self._text) < _SHORT else Planned(self._graph)

    @functools.cached_property
    def head(self) -> dict[str, Any]:
        return _head(self.run, self._request, self._admitted.generation)

    @property
    def start_at(self) -> datetime | None:
        return self._request.start_at

    def max_attempts(self, lane: str) -> int:
        return self._lane_limits.get(lane, LaneLimits()).max_attempts


class _RecordedFacts(RunFacts):
    """The facts of a run, from its row."""

    def __init__(self, row: AnyRow) -> None:
        super().__init__(row.run, row.traceparent)
        self._row = row

    @functools.cached_property
    def planned(self) -> Planned:
        return _planned(self._row.graph)

    @functools.cached_property
    def head(self) -> dict[str, Any]:
        admitted = Decision.model_validate_json(self._row.admitted)
        return _head(self.run, self._request, admitted.generation)

    @property
    def start_at(self) -> datetime | None:
        return self._request.start_at

    def max_attempts(self, lane: str) -> int:
        limits = json.loads(self._row.lane_limits).get(lane, {})
        return LaneLimits.model_validate(limits).max_attempts

    @functools.cached_property
    def _request(self) -> RunRequest:
        return RunRequest.model_validate_json(self._row.request)


def _planned(text: str) -> Planned:
    """The graph of a recorded run. Runs that were planned alike have the same text, and short ones
    come by the thousand."""
    return _planned_alike(text) if len(text) < _SHORT else _plan_of(text)


def _plan_of(text: str) -> Planned:
    return Planned(RunGraph.model_validate_json(text))


_planned_alike = functools.lru_cache(maxsize=256)(_plan_of)


def _head(run: str, request: RunRequest, generation: int) -> dict[str, Any]:
    return {
        "run": run,
        "pipeline": request.pipeline,
        "scope": request.scope.model_dump(mode="json"),
        "requester": request.requester,
        "priority": request.priority,
        "flags": list(request.flags),
        "generation": generation,
    }


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
        slots={"slots": [slot.model_dump(exclude_defaults=True) for slot in stage.slots]}
        if stage.slots
        else {},
    )


class _Cache:
    """The most recently used runs of one ledger, as many as fit: a graph may name 100,000
    partitions, and thousands of short runs may be under way."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, tuple[RunFacts, int]] = OrderedDict()
        self._size = 0

    def get(self, run: str) -> RunFacts | None:
        if (known := self._facts.get(run)) is None:
            return None
        self._facts.move_to_end(run)
        return known[0]

    def put(self, facts: RunFacts, size: int) -> None:
        self._facts[facts.run] = facts, size
        self._size += size
        while self._size > _KEPT and len(self._facts) > 1:
            _, (_, gone) = self._facts.popitem(last=False)
            self._size -= gone


_cached: WeakKeyDictionary[Engine, _Cache] = WeakKeyDictionary()

_of_runs = select(
    tables.run.c.run,
    tables.run.c.request,
    tables.run.c.graph,
    tables.run.c.admitted,
    tables.run.c.traceparent,
    type_coerce(tables.run.c.lane_limits, Text).label("lane_limits"),
).where(tables.run.c.run.in_(bindparam("runs", expanding=True)))


def facts_of(connection: Connection, runs: Iterable[str]) -> dict[str, RunFacts]:
    """The facts of recorded runs, the most recently used ones from memory."""
    cache = _cached.setdefault(connection.engine, _Cache())
    found: dict[str, RunFacts] = {}
    missing: list[str] = []
    for run in dict.fromkeys(runs):
        if (known := cache.get(run)) is None:
            missing.append(run)
        else:
            found[run] = known
    for some in chunks(missing, IDS):
        for row in connection.execute(_of_runs, {"runs": some}).all():
            found[row.run] = facts = _RecordedFacts(row)
            cache.put(facts, _SMALLEST + len(row.graph))
    return found
