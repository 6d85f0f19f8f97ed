"""`--param name=value`, and times."""

from datetime import UTC, datetime

import pytest

from console.errors import Refused
from console.parameters import split_parameters, time_of, typed
from contracts.pipeline import ParameterType


def test_values_may_hold_anything() -> None:
    """Only the first = parts a name from its value; a value may be empty."""
    assert split_parameters(["a=b=c", "d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_parameter_is_refused(words: list[str]) -> None:
    """A word without a name or =, and a name given twice, are refused before anything is asked."""
    with pytest.raises(Refused):
        split_parameters(words)


def test_values_are_typed_as_the_pipeline_says() -> None:
    """Integers and booleans become what they are; text that looks like one stays text."""
    types = {
        "year": ParameterType.INTEGER,
        "dry": ParameterType.BOOLEAN,
        "code": ParameterType.STRING,
    }

    assert typed({"year": "2024", "dry": "Yes", "code": "007"}, types) == {
        "year": 2024,
        "dry": True,
        "code": "007",
    }


def test_what_does_not_fit_is_left_to_the_dispatcher() -> None:
    """A wrong value and an unknown name go as they are: the dispatcher knows the line to show."""
    assert typed({"year": "soon", "other": "x"}, {"year": ParameterType.INTEGER}) == {
        "year": "soon",
        "other": "x",
    }


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90m", datetime(2026, 1, 1, 10, 30, tzinfo=UTC)),
        ("7d", datetime(2025, 12, 25, 12, tzinfo=UTC)),
        ("2026-01-01T06:00", datetime(2026, 1, 1, 6, tzinfo=UTC)),
        ("2026-01-01T06:00+02:00", datetime(2026, 1, 1, 4, tzinfo=UTC)),
    ],
)
def test_a_time_is_so_long_ago_or_a_moment(text: str, at: datetime) -> None:
    """Without a zone it is UTC, whatever this machine's is."""
    assert time_of(text, datetime(2026, 1, 1, 12, tzinfo=UTC)) == at


@pytest.mark.parametrize("text", ["", "yesterday", "5", "999999d", "h", "\x1b[2J"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is no time"):
        time_of(text, datetime(2026, 1, 1, tzinfo=UTC))
