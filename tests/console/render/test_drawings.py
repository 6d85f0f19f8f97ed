"""Bars and trees."""

from datetime import UTC, datetime, timedelta

from rich.console import Console

from console.render.run import BAR, bar
from console.render.task import span_tree
from fleet.ledger.rows import SpanRow

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=10)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_bar_has_its_place_on_the_run() -> None:
    """The second half of the run is the second half of the bar."""
    drawn = bar(at(5), END, of=(START, END))

    assert drawn == " " * (BAR // 2) + "━" * (BAR // 2)


def test_what_has_started_is_always_seen() -> None:
    """However short and late a stage, there is something to see, inside the bar's width."""
    for started, ended in ((0.0, 0.0), (10.0, 10.0), (9.999, 10.0), (12.0, 13.0)):
        drawn = bar(at(started), at(ended), of=(START, END))
        assert "━" in drawn
        assert len(drawn) <= BAR


def test_what_runs_still_reaches_to_now() -> None:
    """A stage without an end is drawn to the end of the bar; one without a start not at all."""
    assert bar(START, None, of=(START, END), plain=True) == "=" * BAR
    assert bar(None, None, of=(START, END)) == ""


def test_spans_are_drawn_below_their_parents() -> None:
    """Children are indented below their parent; a span whose parent is elsewhere is at the top."""
    spans = [a_span("b", "a", 2), a_span("a", "gone", 1), a_span("c", "b", 3)]

    assert drawn(spans) == ["a  1.0 ms", "└── b  1.0 ms", "    └── c  1.0 ms"]


def test_a_span_that_is_its_own_parent_is_drawn_once() -> None:
    """A trace that somebody else wrote cannot keep the drawing busy."""
    assert drawn([a_span("a", "a", 1)]) == ["a  1.0 ms"]


def a_span(name: str, parent: str, start: int) -> SpanRow:
    start_ns = start * 1_000_000
    return SpanRow(
        trace_id="t",
        span_id=name,
        parent_id=parent,
        name=name,
        kind="internal",
        start_ns=start_ns,
        end_ns=start_ns + 1_000_000,
    )


def drawn(spans: list[SpanRow]) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(span_tree(spans))
    return [line.rstrip() for line in capture.get().splitlines()]
