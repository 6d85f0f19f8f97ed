"""A short version of the chaos run, and the checker that decides it."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.localbus.chaos.history import History
from tests.localbus.chaos.rounds import run_rounds
from tests.localbus.conftest import loses_connections


@loses_connections
def test_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """Killed three times under load: nothing acknowledged is lost, nothing completed comes back."""
    assert run_rounds(tmp_path, rounds=3, seed=3, say=print) == []
    gc.collect()


def test_the_checker_allows_what_is_open() -> None:
    """Sends and completions that were cut off may have happened or not."""
    history = History()
    for name in "abc":
        history.send_begins(name)
    for name in "ab":
        history.send_acknowledged(name)
    history.received("b")
    history.complete_begins("b")

    assert history.violations(["a"]) == []
    assert history.violations(["a", "b", "c"]) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "a was acknowledged and lost"),
        (["a", "b"], "b was completed and is there"),
        (["a", "a"], "a is there twice"),
        (["a", "z"], "z was never sent"),
    ],
)
def test_the_checker_sees_what_is_broken(found: list[str], words: str) -> None:
    """Loss, return, doubling and invention are each told."""
    history = History()
    for name in "ab":
        history.send_begins(name)
        history.send_acknowledged(name)
    history.received("b")
    history.complete_begins("b")
    history.complete_acknowledged("b")

    assert words in history.violations(found)


def test_the_checker_sees_a_return_while_it_runs() -> None:
    """A message received after its completion was acknowledged is told, wherever it is later."""
    history = History()
    history.send_begins("a")
    history.complete_begins("a")
    history.complete_acknowledged("a")

    history.received("a")

    assert history.violations([]) == ["a was completed and came back"]
