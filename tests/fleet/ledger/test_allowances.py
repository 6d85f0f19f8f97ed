"""Allowances: reserved with the run, settled with its end, never overshot and never leaked."""

import asyncio
import subprocess
import sys
from datetime import timedelta

import pytest

from contracts.allowance import Allowance, Quota
from contracts.states import State
from fleet.ledger.errors import OverAllowance
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import NewRun
from fleet.ledger.sweep import SweepRules
from fleet.ledger.tenants import TenantRow
from tests.fleet.ledger.story import NOW, a_graph, a_run, a_stage, carried_out, later, promised

ONE = a_graph(a_stage("only"))
STARTS_FOR_EVER = """
import asyncio, sys
from contracts.allowance import Allowance
from fleet.ledger.ledger import Ledger
from tests.fleet.ledger.story import a_graph, a_run, a_stage

async def main():
    async with await Ledger.open(sys.argv[1]) as ledger:
        while True:
            allowance = Allowance(tasks_per_day=10_000_000)
            await ledger.start_run(a_run(a_graph(a_stage("only")), allowance=allowance))
            print("started", flush=True)

asyncio.run(main())
"""


def limited(**limits: int) -> NewRun:
    return a_run(ONE, allowance=Allowance(**limits))


def used(reader: LedgerReader, **later_: float) -> TenantRow:
    (row,) = reader.tenants(later(**later_))
    return row


async def started(ledger: Ledger, new: NewRun) -> bool:
    try:
        return (await ledger.start_run(new)).created
    except OverAllowance:
        return False


async def test_two_dispatchers_at_once_cannot_overshoot(
    ledger: Ledger, reader: LedgerReader, url: str
) -> None:
    """Each with a connection and a writer of its own, on one database: as many start as may."""
    async with await Ledger.open(url) as other:
        answers = await asyncio.gather(
            *(started(one, limited(runs_in_flight=7)) for _ in range(20) for one in (ledger, other))
        )

    assert sum(answers) == 7
    assert used(reader).runs_in_flight == 7


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        ({"runs_in_flight": 2}, Quota.RUNS_IN_FLIGHT),
        ({"tasks_per_day": 2}, Quota.TASKS_PER_DAY),
        (
            {"compute_seconds_per_day": 150, "compute_seconds_a_run": 60},
            Quota.COMPUTE_SECONDS_PER_DAY,
        ),
    ],
)
async def test_each_quota_says_so_when_it_has_no_room(
    ledger: Ledger, limits: dict[str, int], quota: Quota
) -> None:
    """The third run is over this quota and no other, and nothing of it is recorded."""
    for _ in range(2):
        await ledger.start_run(limited(**limits))

    with pytest.raises(OverAllowance) as full:
        await ledger.start_run(limited(**limits))

    assert full.value.over == (quota,)


async def test_a_run_that_ended_counts_for_what_it_used(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Its seconds from claim to record, and it is no longer in flight."""
    await ledger.start_run(limited(compute_seconds_per_day=100, compute_seconds_a_run=60))
    assert used(reader).compute_seconds_today == 60
    (envelope,) = await promised(ledger)

    await carried_out(ledger, envelope, now=NOW + timedelta(seconds=5))

    row = used(reader)
    assert (row.runs_in_flight, row.tasks_today, row.compute_seconds_today) == (0, 1, 5)
    assert await started(ledger, limited(compute_seconds_per_day=100, compute_seconds_a_run=60))


async def test_a_new_day_begins_with_nothing_used(ledger: Ledger, reader: LedgerReader) -> None:
    """A run of yesterday that ends today gives today nothing back, and takes nothing from it."""
    await ledger.start_run(limited(tasks_per_day=1))
    tomorrow = limited(tasks_per_day=1).model_copy(update={"submitted": later(days=1)})

    assert await started(ledger, tomorrow)
    assert used(reader, days=1).tasks_today == 1
    await ledger.sweep(later(hours=3))  # the first run's deadline
    assert used(reader, days=1).tasks_today == 1


async def test_the_same_key_reserves_once(ledger: Ledger, reader: LedgerReader) -> None:
    """Asking again finds the run, also where there is no room for another."""
    for _ in range(3):
        await ledger.start_run(a_run(ONE, key="k", allowance=Allowance(runs_in_flight=1)))

    assert used(reader).runs_in_flight == 1


async def test_a_cancelled_run_gives_its_room_back(ledger: Ledger, reader: LedgerReader) -> None:
    """At once, where nothing of it runs."""
    accepted = await ledger.start_run(limited(runs_in_flight=1))

    await ledger.cancel_run(accepted.run, "ana", "not needed", NOW)

    assert used(reader).runs_in_flight == 0
    assert await started(ledger, limited(runs_in_flight=1))


async def test_nothing_leaks_when_a_dispatcher_is_killed(
    ledger: Ledger, reader: LedgerReader, url: str
) -> None:
    """Killed in the middle of starting runs: what is counted is what is there, and is given back
    when those runs end."""
    dispatcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS_FOR_EVER, url, stdout=subprocess.PIPE
    )
    assert dispatcher.stdout is not None
    for _ in range(5):
        assert await dispatcher.stdout.readline() == b"started\n"
    dispatcher.kill()
    await dispatcher.wait()

    running = len(reader.runs(limit=100_000, state=State.RUNNING))
    row = used(reader)
    assert running >= 5
    assert (row.runs_in_flight, row.tasks_today) == (running, running)
    assert row.compute_seconds_today == 60 * running
    while (await ledger.sweep(later(hours=3), SweepRules())).moved:
        pass
    row = used(reader)
    assert (row.runs_in_flight, row.compute_seconds_today) == (0, 0)
