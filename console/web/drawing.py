"""Where lines and boxes go: sparklines, the graph of a run, its waterfall. Pure geometry.

The templates write the SVG. Colours come from classes, so that a drawing follows light and dark.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from fleet.ledger.browse import RunAttempt
from fleet.ledger.rows import StageRow

BOX_WIDTH, BOX_HEIGHT = 168, 46
_GAP_X, _GAP_Y, _EDGE = 56, 16, 8
WHOLE = 1000
"""Units of a waterfall's width."""
_LEAST = 3
"""Units that the shortest bar takes: whatever was there is seen."""


@dataclass(frozen=True, slots=True)
class Box:
    """One stage of a graph, with its left upper corner."""

    stage: StageRow
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A run's graph."""

    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    """Paths, from parent to child."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt on the waterfall."""

    x: int
    width: int
    attempt: RunAttempt


@dataclass(frozen=True, slots=True)
class Row:
    """One stage, or one task of it, with its attempts."""

    stage: str
    partition: str
    task: str | None
    bars: tuple[Bar, ...]


def graph(stages: Sequence[StageRow]) -> Drawing:
    """Parents left of their children; each as far left as its parents let it be."""
    column: dict[str, int] = {}
    for stage in stages:
        column[stage.stage] = 1 + max((column[n] for n in stage.needs if n in column), default=-1)
    columns: defaultdict[int, list[StageRow]] = defaultdict(list)
    for stage in stages:
        columns[column[stage.stage]].append(stage)
    tallest = max((len(c) for c in columns.values()), default=0)
    places: dict[str, Box] = {}
    for number in sorted(columns):
        ordered = sorted(columns[number], key=lambda stage: _height_of(stage, places))
        top = (tallest - len(ordered)) * (BOX_HEIGHT + _GAP_Y) // 2
        for row, stage in enumerate(ordered):
            places[stage.stage] = Box(
                stage,
                _EDGE + number * (BOX_WIDTH + _GAP_X),
                _EDGE + top + row * (BOX_HEIGHT + _GAP_Y),
            )
    edges = [
        _edge(places[need], places[stage.stage])
        for stage in stages
        for need in stage.needs
        if need in places
    ]
    return Drawing(
        boxes=tuple(places[stage.stage] for stage in stages),
        edges=tuple(edges),
        width=2 * _EDGE + max(len(columns), 1) * (BOX_WIDTH + _GAP_X) - _GAP_X,
        height=2 * _EDGE + max(tallest, 1) * (BOX_HEIGHT + _GAP_Y) - _GAP_Y,
    )


def waterfall(
    attempts: Iterable[RunAttempt], began: datetime, until: datetime, most: int = 120
) -> tuple[Row, ...]:
    """A row for each task in the order they began; for each stage where there are too many."""
    by_task: defaultdict[tuple[str, str, str | None], list[RunAttempt]] = defaultdict(list)
    for attempt in attempts:
        by_task[attempt.stage, attempt.partition, attempt.task].append(attempt)
    if len(by_task) > most:
        by_stage: defaultdict[tuple[str, str, str | None], list[RunAttempt]] = defaultdict(list)
        for (stage, _, _), some in by_task.items():
            by_stage[stage, "", None] += some
        by_task = by_stage
    return tuple(
        Row(stage, partition, task, tuple(_bar(one, began, until) for one in some))
        for (stage, partition, task), some in by_task.items()
    )


def spark(counts: Sequence[int], failed: Sequence[int] = (), *, label: str) -> Markup:
    """A line of counts, 120 by 24, with what failed below it; `label` says it in words."""
    most = max(max(counts, default=0), 1)
    line = " ".join(_point(n, value, len(counts), most) for n, value in enumerate(counts))
    end = _point(len(counts) - 1, 0, len(counts), most).partition(",")[0]
    marks = Markup("").join(
        Markup('<rect class="bad" x="{}" y="20" width="2" height="4"/>').format(
            _point(n, 0, len(counts), most).partition(",")[0]
        )
        for n, value in enumerate(failed)
        if value
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 120 24" role="img" aria-label="{label}">'
        '<polygon points="0,23 {line} {end},23"/><polyline points="{line}"/>{marks}</svg>'
    ).format(label=label, line=line, end=end, marks=marks)


def _point(n: int, value: int, of: int, most: int) -> str:
    return f"{n * 118 / max(of - 1, 1) + 1:.1f},{22 - 20 * value / most:.1f}"


def _height_of(stage: StageRow, places: Mapping[str, Box]) -> float:
    """The middle of its parents, so that edges cross little; sorting keeps the order of equals."""
    above = [places[need].y for need in stage.needs if need in places]
    return sum(above) / len(above) if above else 0.0


def _edge(parent: Box, child: Box) -> str:
    x1, y1 = parent.x + BOX_WIDTH, parent.y + BOX_HEIGHT // 2
    x2, y2 = child.x, child.y + BOX_HEIGHT // 2
    bend = x1 + _GAP_X // 2
    last = x2 - _GAP_X // 2
    return f"M{x1} {y1}C{bend} {y1} {last} {y2} {x2} {y2}"


def _bar(attempt: RunAttempt, began: datetime, until: datetime) -> Bar:
    whole = max((until - began).total_seconds(), 1e-6)
    first = (attempt.started - began).total_seconds() / whole * WHOLE
    last = ((attempt.ended or until) - began).total_seconds() / whole * WHOLE
    x = min(max(round(first), 0), WHOLE - _LEAST)
    return Bar(x, min(max(round(last) - x, _LEAST), WHOLE - x), attempt)
