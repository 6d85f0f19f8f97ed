"""Limits and the slots they give."""

import pytest

from contracts.limit import Slot, merged


def test_two_limits_of_one_key_both_hold() -> None:
    """As one: the fewer at the same time, and the slower rate, which is evenly spaced."""
    given = [
        Slot(key="a", running=3),
        Slot(key="b", running=9),
        Slot(key="a", starts=5, per=1),
        Slot(key="a", running=2, starts=60, per=60),
    ]

    assert merged(given) == (
        Slot(key="a", running=2, starts=60, per=60),
        Slot(key="b", running=9),
    )


@pytest.mark.parametrize("slots", [[], [Slot(key="a", running=1)], [Slot(key="a", starts=3)]])
def test_what_is_one_already_stays_as_it_is(slots: list[Slot]) -> None:
    """Nothing is invented."""
    assert merged(slots) == tuple(slots)
