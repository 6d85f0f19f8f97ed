"""`fleet verify`, and how its findings are told."""

import json

from console.verification import VerifiedRun, VerifiedTask
from tests.console.conftest import called
from tests.console.ledgers import Home

SAME = VerifiedTask(task="t-1", stage="typed", partition="2024-01", same=True)
OTHER = VerifiedTask(
    task="t-2", stage="typed", partition="2024-02", same=False, difference="claims.parquet differs"
)


def found(*tasks: VerifiedTask) -> VerifiedRun:
    wrong = next((task for task in tasks if not task.same), None)
    return VerifiedRun(
        run="r",
        same=wrong is None,
        checked=len(tasks),
        skipped=1,
        first_difference=wrong,
        tasks=tasks,
    )


def test_the_same_bytes_are_told_in_a_line() -> None:
    """A run that is the same says how many tasks were run again, and how many could not be."""
    words = found(SAME).in_words

    assert "1 tasks run again, byte-same; 1 are not deterministic" in words
    assert "\n" not in words


def test_a_difference_names_its_task() -> None:
    """Each task that differs is named with what differs."""
    words = found(SAME, OTHER).in_words

    assert "DIFFERENT" in words
    assert "typed/2024-02: claims.parquet differs" in words


def test_what_a_newer_worker_adds_is_handed_on() -> None:
    """Fields that this console does not know are in its JSON all the same."""
    told = found(SAME).model_dump(mode="json") | {"seconds": 3}

    assert json.loads(VerifiedRun.model_validate(told).model_dump_json())["seconds"] == 3


def test_a_run_that_cannot_be_run_again_is_a_line(home: Home) -> None:
    """Where the worker gives up, the last thing it said is the error, and not its traceback."""
    run = home.run(1)
    for stored in (home.folder / "artifacts").rglob("?" * 64):
        stored.unlink()

    done = called(home.folder, "verify", run)

    assert done.code in (1, 2)
    assert "Traceback" not in done.err


def test_an_unknown_run_is_refused(home: Home) -> None:
    """No worker is started for a run that is not there."""
    home.run(1)

    done = called(home.folder, "verify", "ffff", "--json")

    assert (done.code, done.out) == (2, "")
