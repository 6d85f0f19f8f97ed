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
from fleet.ledger.spans import SpanTimes

BOX_WIDTH, BOX_HEIGHT = 150, 46
_GAP_X, _GAP_Y, _EDGE = 40, 14, 8
WHOLE = 1000
"""Units of a waterfall's width."""
_LEAST = 3
"""Units that the shortest bar takes: whatever was there is seen."""
_SLACK = 5_000_000
"""Nanoseconds: the ledger's times and the trace's are of one machine, but not of one clock call."""


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
class Part:
    """One span on the waterfall."""

    x: int
    width: int
    span: SpanTimes

    @property
    def told(self) -> str:
        """Its name and how long it took."""
        return f"{self.span.name}, {(self.span.end_ns - self.span.start_ns) / 1e6:,.1f} ms"


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt on the waterfall: where its delivery was processed, as the trace says, with the
    spans within that; else from its claim to its record, as the ledger says."""

    x: int
    width: int
    attempt: RunAttempt
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One stage, or one task of it, with its attempts."""

    stage: str
    partition: str
    task: str | None
    bars: tuple[Bar, ...]
    beside: tuple[Part, ...] = ()
    """Spans of no attempt: the intake, a delivery that was declined."""


def graph(stages: Sequence[StageRow]) -> Drawing:
    """Parents left of their children; an edge that passes a column has a way of its own in it."""
    column: dict[str, int] = {}
    for stage in stages:
        column[stage.stage] = 1 + max((column[n] for n in stage.needs if n in column), default=-1)
    above: dict[_Slot, list[_Slot]] = {}
    for stage in stages:
        slot = _Slot(column[stage.stage], stage.stage, True)
        above[slot] = [
            _way(above, need, column[need], slot.column) for need in stage.needs if need in column
        ]
    places = _placed(above)
    boxes = tuple(
        Box(stage, _x(column[stage.stage]), places[_Slot(column[stage.stage], stage.stage, True)])
        for stage in stages
    )
    edges = [_edge(parent, slot, places) for slot, parents in above.items() for parent in parents]
    edges += [
        f"M{_x(slot.column)} {places[slot] + BOX_HEIGHT // 2}h{BOX_WIDTH}"
        for slot in above
        if not slot.is_box
    ]
    bottom = max((y + BOX_HEIGHT for y in places.values()), default=BOX_HEIGHT)
    columns = max(column.values(), default=0) + 1
    return Drawing(
        boxes=boxes,
        edges=tuple(edges),
        width=_x(columns) - _GAP_X + _EDGE,
        height=bottom + _EDGE,
    )


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in a column: a stage's box, or the way that edges of a stage take through it."""

    column: int
    stage: str
    is_box: bool


def _way(above: dict[_Slot, list[_Slot]], stage: str, first: int, last: int) -> _Slot:
    """What an edge from `stage` comes from, in the column before the last one. Edges of one stage
    share their way."""
    slot = _Slot(first, stage, True)
    for column in range(first + 1, last):
        before, slot = slot, _Slot(column, stage, False)
        above.setdefault(slot, [before])
    return slot


def _placed(above: Mapping[_Slot, list[_Slot]]) -> dict[_Slot, int]:
    """The upper edge of each slot: as near to the middle of what is above it as there is room."""
    columns: defaultdict[int, list[_Slot]] = defaultdict(list)
    for slot in above:
        columns[slot.column].append(slot)
    step = BOX_HEIGHT + _GAP_Y
    tallest = max((len(column) for column in columns.values()), default=0)
    places: dict[_Slot, int] = {}
    for number in sorted(columns):
        wanted = {slot: _middle([places[one] for one in above[slot]]) for slot in columns[number]}
        ordered = sorted(columns[number], key=lambda slot: wanted[slot])
        top = _EDGE + (tallest - len(ordered)) * step // 2
        for row, slot in enumerate(ordered):
            places[slot] = top + row * step
    return places


def _middle(values: Sequence[int]) -> float:
    return sum(values) / len(values) if values else 0.0


def _x(column: int) -> int:
    return _EDGE + column * (BOX_WIDTH + _GAP_X)


def _edge(parent: _Slot, child: _Slot, places: Mapping[_Slot, int]) -> str:
    x1, y1 = _x(parent.column) + BOX_WIDTH, places[parent] + BOX_HEIGHT // 2
    x2, y2 = _x(child.column), places[child] + BOX_HEIGHT // 2
    bend = (x1 + x2) // 2
    return f"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}"


def waterfall(
    attempts: Iterable[RunAttempt],
    began: datetime,
    until: datetime,
    spans: Sequence[SpanTimes] = (),
    most: int = 120,
) -> tuple[Row, ...]:
    """A row for each task in the order they began; for each stage where there are too many.

    `spans`: those of the run that the trace store has. What is not in them (an attempt that runs,
    a trace that is kept elsewhere) is drawn from the attempts.
    """
    by_task: defaultdict[tuple[str, str, str | None], list[RunAttempt]] = defaultdict(list)
    for attempt in attempts:
        by_task[attempt.stage, attempt.partition, attempt.task].append(attempt)
    if len(by_task) > most:
        by_stage: defaultdict[tuple[str, str, str | None], list[RunAttempt]] = defaultdict(list)
        for (stage, _, _), some in by_task.items():
            by_stage[stage, "", None] += some
        by_task, spans = by_stage, ()
    scale = _Scale(began, until)
    of_task: defaultdict[str | None, list[SpanTimes]] = defaultdict(list)
    for span in spans:
        of_task[span.task].append(span)
    first = tuple(map(scale.part, of_task[None]))
    rows = [Row("intake", "", None, (), first)] if first else []
    rows += [
        _row(stage, partition, task, some, spans=of_task[task] if task else [], scale=scale)
        for (stage, partition, task), some in by_task.items()
    ]
    return tuple(rows)


def _row(
    stage: str,
    partition: str,
    task: str | None,
    attempts: Sequence[RunAttempt],
    *,
    spans: Sequence[SpanTimes],
    scale: "_Scale",
) -> Row:
    """Each attempt with the span that processed it: the one in which it began."""
    left = {span.span_id: span for span in spans}
    whole = [span for span in spans if span.parent_id not in left]
    bars = []
    for attempt in attempts:
        began = attempt.started.timestamp() * 1e9
        around = (span for span in whole if span.start_ns - _SLACK <= began <= span.end_ns + _SLACK)
        if (found := next(around, None)) is None:
            bars.append(scale.bar(attempt))
            continue
        whole.remove(found)
        within = [span for span in spans if span.parent_id == found.span_id]
        place = scale.part(found)
        bars.append(Bar(place.x, place.width, attempt, tuple(map(scale.part, within))))
    return Row(stage, partition, task, tuple(bars), tuple(map(scale.part, whole)))


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


class _Scale:
    """From times to places on a waterfall."""

    def __init__(self, began: datetime, until: datetime) -> None:
        self._began, self._until = began.timestamp(), until.timestamp()
        self._whole = max(self._until - self._began, 1e-6)

    def bar(self, attempt: RunAttempt) -> Bar:
        last = self._until if attempt.ended is None else attempt.ended.timestamp()
        return Bar(*self._place(attempt.started.timestamp(), last), attempt)

    def part(self, span: SpanTimes) -> Part:
        return Part(*self._place(span.start_ns / 1e9, span.end_ns / 1e9), span)

    def _place(self, first: float, last: float) -> tuple[int, int]:
        x, end = (round((at - self._began) / self._whole * WHOLE) for at in (first, last))
        x = min(max(x, 0), WHOLE - _LEAST)
        return x, min(max(end - x, _LEAST), WHOLE - x)
