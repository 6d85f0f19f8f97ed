"""What Tab offers in the shell."""

from pathlib import Path

import pytest

from tests.console.conftest import called
from tests.console.ledgers import Home


def offered(home: Path, words: str) -> list[str]:
    """What bash is told to offer for the last of `words`."""
    done = called(
        home,
        _FLEET_COMPLETE="complete_bash",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    return done.out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [("fleet dead", ["dead-letters"]), ("fleet runs --st", ["--state"])],
)
def test_commands_and_options_are_offered(tmp_path: Path, words: str, expected: list[str]) -> None:
    assert offered(tmp_path, words) == expected


def test_runs_are_offered_by_the_beginning_of_their_id(home: Home) -> None:
    """The newest first, as `fleet runs` shows them."""
    first, second = home.run(1), home.run(2)

    assert offered(home.folder, f"fleet run {first[:4]}") == [second, first]
    assert offered(home.folder, f"fleet run {second}") == [second]


def test_no_ledger_is_nothing_to_offer(tmp_path: Path) -> None:
    assert offered(tmp_path, "fleet run 0") == []
