"""How states, times and words from outside look."""

from datetime import timedelta

import pytest

from console.render.marks import counted, mark, shown, size, span, style, summary
from contracts.states import State


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_mark(state: State) -> None:
    """Every state has one character, one of ASCII for plain terminals, and a style."""
    assert len(mark(state).plain) == 1
    assert mark(state, plain=True).plain.isascii()
    assert style(state)


@pytest.mark.parametrize("state", list(State))
def test_a_summary_of_one_state_is_that_state(state: State) -> None:
    """Tasks that all stand alike are summed up as what they are."""
    assert summary({state: 3}) is state


def test_trouble_is_the_summary() -> None:
    """One failed task is what is said of a stage, whatever the others do."""
    assert summary({State.SUCCEEDED: 99, State.FAILED: 1, State.RUNNING: 3}) is State.FAILED
    assert summary({State.SUCCEEDED: 99, State.RUNNING: 1}) is State.RUNNING
    assert summary({}) is State.WAITING
    assert counted({State.RUNNING: 1, State.SUCCEEDED: 9}) == "1 running, 9 succeeded"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.00 s"),
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (185, "3 min 05 s"),
        (7620, "2 h 07 min"),
        (273_600, "3 d 04 h"),
    ],
)
def test_times_are_told_in_their_own_unit(seconds: float, words: str) -> None:
    """Short times have hundredths, long ones minutes and hours; a clock's step back is nothing."""
    assert span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (1023, "1023 B"), (4096, "4.0 KiB"), (1 << 50, "1024.0 TiB")]
)
def test_sizes_are_told_in_their_own_unit(count: int, words: str) -> None:
    """Bytes in powers of 1024."""
    assert size(count) == words


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b2J", "\r", "\x07", "\x00", "\u202e"])
def test_control_characters_are_marked(hostile: str) -> None:
    """Nothing that somebody else wrote moves the cursor, rings the bell or turns the text round."""
    assert hostile[0] not in shown(f"a{hostile}b")
    assert shown("plain\ttext\nÄ") == "plain\ttext\nÄ"
