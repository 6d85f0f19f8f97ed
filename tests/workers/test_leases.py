"""Leases: kept alive together, and told to end when they are lost."""

import asyncio
import contextlib
from typing import Any

from contracts.states import State
from fleet.ledger.errors import LedgerBusy
from fleet.ledger.rows import Claim, Claimed
from tests.workers.conftest import PATIENCE, Fleet, a_stage
from workers.leases import End, LeaseKeeper


async def _claimed(fleet: Fleet) -> Claimed:
    from datetime import timedelta

    now = fleet.clock.now()
    claimed = await fleet.site.ledger.claim(
        Claim(
            task=fleet.task("only").task,
            attempt=1,
            worker="worker-1",
            now=now,
            lease_until=now + timedelta(seconds=30),
        )
    )
    assert isinstance(claimed, Claimed)
    return claimed


class _Delivery:
    """Its lock can be renewed; nothing else is asked of it here."""

    async def renew(self) -> None:
        """Renewed."""


DELIVERY: Any = _Delivery()


async def test_a_renewed_lease_outlives_its_first_length(fleet: Fleet) -> None:
    """The sweeper leaves a task alone whose worker renews, for as long as it does."""
    await fleet.start(a_stage("only"))

    with fleet.site.leases.hold(await _claimed(fleet), DELIVERY, 30) as lease:
        for _ in range(6):
            await fleet.clock.advance(20)
            await fleet.site.leases.renew()
            await fleet.site.ledger.sweep(fleet.clock.now())

    assert lease.end is None
    assert fleet.task("only").state is State.RUNNING


async def test_a_lease_that_ran_out_is_told_to_end(fleet: Fleet) -> None:
    """The sweeper gave the task away; the next renewal brings the word."""
    await fleet.start(a_stage("only"))

    with fleet.site.leases.hold(await _claimed(fleet), DELIVERY, 30) as lease:
        await fleet.clock.advance(60)
        await fleet.site.ledger.sweep(fleet.clock.now())
        await fleet.site.leases.renew()

    assert lease.ended.done()


class _BusyLedger:
    """A ledger whose database does not answer."""

    async def renew(self, *_: Any) -> Any:
        raise LedgerBusy("the database is locked")


async def test_a_ledger_that_does_not_answer_ends_a_lease_only_when_it_runs_out(
    fleet: Fleet,
) -> None:
    """A hiccup costs nothing; past its length another worker may hold the task."""
    await fleet.start(a_stage("only"))
    ledger: Any = _BusyLedger()
    keeper = LeaseKeeper(ledger, fleet.clock)

    with keeper.hold(await _claimed(fleet), DELIVERY, 30) as lease:
        await keeper.renew()
        early = lease.end
        await fleet.clock.advance(31)
        await keeper.renew()

    assert (early, lease.end) == (None, End.LOST)


async def test_a_worker_that_takes_its_own_task_over_keeps_the_later_lease(fleet: Fleet) -> None:
    """Its lease ran out, the message came back to it: the first attempt's end ends only itself."""
    await fleet.start(a_stage("only"))
    keeper = fleet.site.leases
    first = await _claimed(fleet)
    await fleet.clock.advance(60)
    second = await _claimed(fleet)

    with contextlib.ExitStack() as newer:
        with keeper.hold(first, DELIVERY, 30) as earlier:
            later = newer.enter_context(keeper.hold(second, DELIVERY, 30))
        held = keeper.held
        await keeper.renew()

    assert (earlier.end, later.end) == (End.LOST, None)
    assert held == (later,)


class _DeafDelivery:
    """A bus that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def renew(self) -> None:
        self.asked += 1
        await asyncio.Event().wait()


async def test_no_lease_waits_for_a_bus_that_does_not_answer(fleet: Fleet) -> None:
    """The ledger is told in time, again and again, while one renewal of a lock hangs."""
    await fleet.start(a_stage("only"))
    deaf: Any = _DeafDelivery()

    with fleet.site.leases.hold(await _claimed(fleet), deaf, 30) as lease:
        for _ in range(3):
            await fleet.clock.advance(20)
            await asyncio.wait_for(fleet.site.leases.renew(), PATIENCE)
            await fleet.site.ledger.sweep(fleet.clock.now())
        asked = deaf.asked

    assert (lease.end, asked) == (None, 1)
    assert fleet.task("only").state is State.RUNNING
