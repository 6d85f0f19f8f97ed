"""Where lines and boxes go, and what is remembered of the last hour."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from console.web.drawing import BOX_HEIGHT, BOX_WIDTH, graph, spark, waterfall
from console.web.screens.task import steps
from console.web.trends import MINUTES, Trends
from contracts.states import State
from fleet.ledger.browse import RunAttempt
from fleet.ledger.pulse import Ended
from fleet.ledger.rows import SpanRow, StageRow

NOW = datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC)


def a_stage(name: str, *needs: str) -> StageRow:
    return StageRow(
        stage=name,
        kind="compute.sql",
        lane="compute",
        needs=needs,
        tasks=1,
        states={State.SUCCEEDED: 1},
        attempts=1,
        started=None,
        ended=None,
    )


def an_attempt(task: str, started: float, ended: float | None) -> RunAttempt:
    return RunAttempt(
        number=1,
        epoch=1,
        worker="w",
        state=State.RUNNING if ended is None else State.SUCCEEDED,
        started=NOW + timedelta(seconds=started),
        ended=None if ended is None else NOW + timedelta(seconds=ended),
        fault=None,
        facts={},
        reused_from=None,
        trace_id=None,
        task=task,
        stage=task,
        partition="",
    )


def test_no_box_lies_on_another_or_on_a_passing_edge() -> None:
    """Also where an edge passes several columns: it has a way of its own through each."""
    drawn = graph([a_stage("a"), a_stage("b", "a"), a_stage("c", "b"), a_stage("d", "a", "c")])

    spots = [(box.x, box.y) for box in drawn.boxes]
    assert len(set(spots)) == 4
    assert all(after.x - before.x >= BOX_WIDTH for before, after in pairwise(drawn.boxes))
    passing = [edge for edge in drawn.edges if "h" in edge]
    assert len(passing) == 2
    for edge in passing:
        x, y = map(int, edge[1:].partition("h")[0].split())
        assert not [b for b in drawn.boxes if b.x == x and b.y <= y <= b.y + BOX_HEIGHT]
    assert all(box.x + BOX_WIDTH <= drawn.width for box in drawn.boxes)
    assert all(box.y + BOX_HEIGHT <= drawn.height for box in drawn.boxes)


def test_the_waterfall_shows_whatever_was_there() -> None:
    """However short an attempt, and one that runs reaches to now; none leaves the drawing."""
    attempts = [an_attempt("a", 0, 0.0001), an_attempt("b", 99, None), an_attempt("c", 100, 100)]
    rows = waterfall(attempts, NOW, NOW + timedelta(seconds=100))

    bars = [row.bars[0] for row in rows]
    assert all(bar.width >= 3 or bar.x + bar.width == 1000 for bar in bars)
    assert all(bar.x >= 0 and bar.x + bar.width <= 1000 for bar in bars)
    assert bars[1].x + bars[1].width == 1000


def test_many_tasks_share_the_row_of_their_stage() -> None:
    """A fan-out of thousands is a page that can be read."""
    attempts = [an_attempt(str(n), 0, 1).model_copy(update={"stage": "s"}) for n in range(200)]
    rows = waterfall(attempts, NOW, NOW + timedelta(seconds=1))

    assert [(row.stage, row.task, len(row.bars)) for row in rows] == [("s", None, 200)]


def test_a_sparkline_says_in_words_what_it_shows() -> None:
    """Its label is escaped, and a failure has a mark."""
    drawn = spark((0, 2, 1), (0, 1, 0), label='5 "tasks" <b>')

    assert 'aria-label="5 &#34;tasks&#34; &lt;b&gt;"' in drawn
    assert drawn.count('class="bad"') == 1


def test_spans_are_a_tree_whoever_made_them() -> None:
    """Parents first; a lost parent, a span that is its own parent and a circle of two break
    nothing."""

    def a_span(name: str, parent: str | None, start: int) -> SpanRow:
        return SpanRow(
            trace_id="t",
            span_id=name,
            parent_id=parent,
            name=name,
            kind="internal",
            start_ns=start,
            end_ns=start + 5,
        )

    spans = (("child", "top"), ("top", None), ("lost", "gone"), ("self", "self"))
    circle = (("x", "y"), ("y", "x"))
    starts = {"top": 1, "child": 2, "lost": 3, "self": 4, "x": 5, "y": 6}
    told = steps([a_span(name, above, starts[name]) for name, above in (*spans, *circle)])

    assert [(step.span.name, step.depth) for step in told] == [
        ("top", 0),
        ("child", 1),
        ("lost", 0),
        ("self", 0),
    ]


class CountedPulse:
    """Minutes as they were told, and from when on they were asked for."""

    def __init__(self) -> None:
        self.asked: list[datetime] = []

    def ended(self, since: datetime, until: datetime) -> Iterable[Ended]:
        self.asked.append(since)
        minute = NOW.replace(second=0) - timedelta(minutes=10)
        if since <= minute < until:
            yield Ended("mirror", minute, {State.SUCCEEDED: 8, State.DEAD: 2, State.CANCELLED: 5})


def test_an_hour_is_counted_once_and_then_its_end_alone() -> None:
    """What was cancelled is neither success nor failure; a minute that is over is kept."""
    pulse = CountedPulse()
    trends = Trends(pulse)  # type: ignore[arg-type]  # all that it is asked

    first = trends.lanes(NOW)["mirror"]
    again = trends.lanes(NOW + timedelta(seconds=20))["mirror"]

    assert (first.ended, first.success, len(first.counts)) == (10, 0.8, MINUTES)
    assert first.counts[-11] == 10
    assert again == first
    assert pulse.asked[0] == NOW.replace(second=0) - timedelta(minutes=59)
    assert pulse.asked[1] >= NOW.replace(second=0) - timedelta(minutes=3)
