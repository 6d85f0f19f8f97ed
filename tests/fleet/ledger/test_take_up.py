"""Taking up what was parked."""

from datetime import datetime

from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.take_up import AGAIN
from tests.fleet.ledger.story import (
    NOW,
    a_run,
    carried_out,
    finished,
    later,
    promised,
)


async def parked(ledger: Ledger) -> str:
    """A task that no worker knew at NOW."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.PARKED)
    return envelope.task


async def starts(ledger: Ledger, at: datetime, *kinds: str, lane: str = "mirror") -> None:
    await ledger.worker_seen(f"w-{at}", [lane], at, {"kinds": list(kinds)})


async def test_a_worker_that_knows_the_kind_has_it_taken_up(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """At once, under a new attempt, and the history says why."""
    task = await parked(ledger)
    await starts(ledger, later(seconds=1), "test.first.v1", "test.second.v1")

    known = await ledger.any_parked()
    taken = await ledger.take_up(later(seconds=2))
    again = await ledger.take_up(later(seconds=2))
    await finished(ledger, reader.task(task).run)

    assert (known, taken.tasks, len(taken.outbox), again.tasks) == (True, 1, 1, 0)
    detail = reader.task(task)
    assert (detail.state, detail.attempt) == (State.SUCCEEDED, 2)
    assert "a worker that knows test.first.v1 is there" in detail.history[-3].detail
    assert not await ledger.any_parked()


async def test_what_nobody_here_knows_stays_parked(ledger: Ledger) -> None:
    """Another version, another lane, or a worker of an older release that does not say."""
    await parked(ledger)
    await starts(ledger, later(seconds=1), "test.first.v2")
    await starts(ledger, later(seconds=2), "test.first.v1", lane="compute")
    await ledger.worker_seen("old", ["mirror"], later(seconds=3), {})

    assert not await ledger.any_parked()
    assert (await ledger.take_up(later(seconds=4))).tasks == 0


async def test_a_worker_that_is_gone_takes_nothing_up(ledger: Ledger) -> None:
    """It fell silent: the sweeper said so."""
    await parked(ledger)
    await starts(ledger, later(seconds=1), "test.first.v1")
    await ledger.sweep(later(minutes=5))

    assert (await ledger.take_up(later(minutes=5))).tasks == 0


async def test_old_and_new_workers_do_not_toss_a_task_back_and_forth(ledger: Ledger) -> None:
    """An old one parked it beside a new one: it waits a while before it is promised again."""
    await starts(ledger, later(seconds=-5), "test.first.v1")
    await parked(ledger)

    early = await ledger.take_up(NOW + AGAIN)
    late = await ledger.take_up(NOW + AGAIN * 1.1)

    assert (early.tasks, late.tasks) == (0, 1)
