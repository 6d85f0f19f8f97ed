"""The table of moves: every state can be reached and left as the design says."""

import pytest

from contracts.states import FINAL, MOVES, State, may_move


def test_every_state_has_its_row() -> None:
    """Nothing falls out of the table."""
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_every_open_state_leads_to_an_end(state: State) -> None:
    """No task can get stuck by the table alone."""
    reached, front = {state}, [state]
    while front:
        fresh = MOVES[front.pop()] - reached
        reached |= fresh
        front += fresh

    assert reached & FINAL


def test_what_succeeded_stays_so() -> None:
    """A recorded result is never taken back."""
    assert not any(may_move(State.SUCCEEDED, new) for new in State)
