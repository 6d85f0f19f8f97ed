"""Claims and leases."""

import asyncio
from datetime import timedelta

from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Claim, Claimed
from tests.fleet.ledger.story import (
    NOW,
    a_claim,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    claimed,
    later,
    promised,
    refused,
)

WIDE = a_graph(a_stage("fetch", partitions=tuple(f"p{number:03}" for number in range(300))))


async def test_a_claim_leases_the_attempt(ledger: Ledger, reader: LedgerReader) -> None:
    """The task runs at a new epoch, and the attempt is written down."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)

    answer = await claimed(ledger, envelope)

    task = reader.task(envelope.task)
    assert (answer.epoch, answer.attempt, answer.run) == (1, 1, envelope.run)
    assert (task.state, task.worker, task.started) == (State.RUNNING, "w1", NOW)
    assert task.lease_until == later(seconds=30)
    assert [(a.number, a.epoch, a.state) for a in task.attempts] == [(1, 1, State.RUNNING)]


async def test_a_leased_attempt_is_nobody_elses(ledger: Ledger) -> None:
    """A duplicate of a running attempt learns who holds it."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)

    answer = refused(await ledger.claim(a_claim(envelope, "w2")))

    assert (answer.why, answer.state, answer.holder) == ("leased", State.RUNNING, "w1")


async def test_an_expired_lease_is_taken_over(ledger: Ledger, reader: LedgerReader) -> None:
    """The same attempt goes on at a higher epoch, and the first holder's is closed."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await claimed(ledger, envelope)

    answer = await claimed(ledger, envelope, "w2", later(minutes=1))

    first, second = reader.task(envelope.task).attempts
    assert (answer.epoch, answer.attempt) == (2, 1)
    assert (first.ended, first.fault and first.fault.code) == (later(minutes=1), "lease.expired")
    assert (second.worker, second.state) == ("w2", State.RUNNING)


async def test_a_closed_task_is_not_claimed(ledger: Ledger) -> None:
    """A duplicate of a closed attempt is completed unrun."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope)

    answer = refused(await ledger.claim(a_claim(envelope, "w2")))

    assert (answer.why, answer.state) == ("closed", State.SUCCEEDED)


async def test_an_attempt_that_was_replaced_is_not_claimed(ledger: Ledger) -> None:
    """The message of attempt 1 comes late: attempt 2 is the promised one."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.RETRYING, retry_at=later(minutes=1))

    answer = refused(await ledger.claim(a_claim(envelope, "w2")))

    assert (answer.why, answer.state) == ("superseded", State.RETRYING)


async def test_a_task_nobody_knows_is_not_claimed(ledger: Ledger) -> None:
    """A message of another ledger's task."""
    asked = Claim(task="nobody's", attempt=1, worker="w1", now=NOW, lease_until=later(seconds=30))

    assert refused(await ledger.claim(asked)).why == "unknown"


async def test_claims_never_double(ledger: Ledger, url: str, reader: LedgerReader) -> None:
    """Two ledgers on one file claim the same 300 tasks at once, twice each: 300 claims win."""
    new = a_run(WIDE)
    await ledger.start_run(new)
    envelopes = await promised(ledger)

    async with await Ledger.open(url) as other:
        answers = await asyncio.gather(
            *[
                side.claim(a_claim(envelope, worker))
                for envelope in envelopes
                for side, worker in ((ledger, "a"), (other, "b"), (ledger, "c"), (other, "d"))
            ]
        )

    won = [answer for answer in answers if isinstance(answer, Claimed)]
    assert len(won) == len({answer.task for answer in won}) == 300
    assert {answer.epoch for answer in won} == {1}
    assert {row.state for row in reader.tasks(new.run)} == {State.RUNNING}


async def test_renewing_extends_the_lease(ledger: Ledger, reader: LedgerReader) -> None:
    """A renewed lease is not taken over when the first one would have run out."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    lease = await claimed(ledger, envelope)

    lost = await ledger.renew([(lease.task, lease.epoch)], later(minutes=5), later(seconds=20))

    assert lost == frozenset()
    assert refused(await ledger.claim(a_claim(envelope, "w2", later(minutes=1)))).why == "leased"
    assert reader.task(lease.task).lease_until == later(minutes=5)


async def test_renewing_tells_which_leases_are_lost(ledger: Ledger) -> None:
    """One task of two was taken over, a third is unknown: both have to stop."""
    await ledger.start_run(a_run(a_graph(a_stage("fetch", partitions=("a", "b")))))
    kept, taken = [await claimed(ledger, envelope) for envelope in await promised(ledger)]
    again = Claim(
        task=taken.task,
        attempt=1,
        worker="w2",
        now=later(minutes=1),
        lease_until=later(minutes=2),
    )
    await ledger.claim(again)

    lost = await ledger.renew(
        [(kept.task, kept.epoch), (taken.task, taken.epoch), ("nobody's", 1)],
        later(minutes=3),
        later(minutes=1) + timedelta(seconds=1),
    )

    assert lost == {taken.task, "nobody's"}


async def test_renewing_tells_that_the_run_is_cancelled(ledger: Ledger) -> None:
    """A worker learns of a cancellation with its next renewal."""
    new = a_run()
    await ledger.start_run(new)
    [envelope] = await promised(ledger)
    lease = await claimed(ledger, envelope)
    await ledger.cancel_run(new.run, "ada", "not needed", NOW)

    lost = await ledger.renew([(lease.task, lease.epoch)], later(minutes=1), NOW)

    assert lost == {lease.task}
