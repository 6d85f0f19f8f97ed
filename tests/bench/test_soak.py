"""The verdict of a soak: what is flat or has a bound passes, what leaks does not."""

from collections.abc import Callable

import pytest

from bench.soak import Sample
from bench.soak_verdict import grown

_MINUTES = 30


def samples(**figures: Callable[[float], float]) -> list[Sample]:
    """One process, read every five seconds; figures by the minute."""
    flat = {"memory": 150.0, "files": 30, "threads": 5, "processes": 1}
    return [
        Sample(
            at=at,
            process="worker",
            **flat | {name: figure(at / 60) for name, figure in figures.items()},  # type: ignore[arg-type]
        )
        for at in range(0, _MINUTES * 60, 5)
    ]


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"memory": lambda minute: 150 + min(minute, 12) * 2},  # a cache that fills
        {"memory": lambda minute: 150 + 80 * (int(minute) % 7 == 0)},  # spikes
        {"files": lambda minute: 30 + int(minute) % 8},
    ],
)
def test_what_has_a_bound_has_not_grown(figures: dict[str, Callable[[float], float]]) -> None:
    """A cache fills in the first half, sockets come and go."""
    assert all(row.held for row in grown(samples(**figures)))


@pytest.mark.parametrize(
    ("figure", "leak"),
    [
        ("memory", lambda minute: 150 + minute),
        ("files", lambda minute: 30 + minute),
        ("threads", lambda minute: 5 + minute // 5),
        ("processes", lambda minute: 1 + minute // 10),
    ],
)
def test_a_leak_is_found(figure: str, leak: Callable[[float], float]) -> None:
    """One MiB or file a minute, a thread in five, a process in ten."""
    assert [row.figure for row in grown(samples(**{figure: leak})) if not row.held] == [figure]
