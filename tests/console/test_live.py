"""Progress where stderr is no terminal."""

import pytest

from console.live import Progress


def test_plain_lines_appear_when_they_say_something_new(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A line that was said is not said again; the last one is always told."""
    progress: Progress[int] = Progress(str, lambda view: f"{view} done")

    with progress.shown():
        for view in (1, 1, 1):
            progress.update(view)
        progress.update(3)

    told = capsys.readouterr()
    assert told.err.splitlines() == ["1 done", "3 done"]
    assert told.out == ""
