"""A redrive whose dispatcher is killed on the way, in real processes."""

from pathlib import Path

from tests.dispatcher.redrive_storm import storm
from tests.fleet.ledger.graveyard import CAUSES


def test_a_killed_dispatcher_loses_no_redrive_and_doubles_none(tmp_path: Path) -> None:
    """SIGKILL a third and two thirds of the way; the next dispatcher goes on, at the same rate."""
    seen = storm(tmp_path, tasks=300, per_second=100, kill_at=(0.33, 0.66))

    assert seen.exactly_once, seen
    assert seen.groups == {code: 100 for code, _ in CAUSES}
    assert seen.previewed == 300
    assert all(0 < killed < 300 for killed in seen.kills)
    # One second's worth may be saved up, and one falls due within the second.
    assert seen.fastest <= 2 * seen.per_second
