"""The outbox."""

from contracts.envelope import decoded, encoded
from contracts.states import State
from fleet.ledger.ledger import Ledger
from tests.fleet.ledger.story import (
    NOW,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    claimed,
    later,
    promised,
)

WIDE = a_graph(a_stage("fetch", partitions=("c", "a", "b")))


async def test_promises_are_due_in_their_order_until_relayed(ledger: Ledger) -> None:
    """Partitions of a stage in the order of their names; marking twice is harmless."""
    await ledger.start_run(a_run(WIDE))

    first = await ledger.due_outbox(2, later(seconds=1))
    for _ in range(2):
        await ledger.mark_relayed([row.seq for row in first], NOW)
    rest = await ledger.due_outbox(2, later(seconds=1))

    assert [row.envelope.partition for row in first + rest] == ["a", "b", "c"]


async def test_young_promises_are_left_to_who_made_them(ledger: Ledger) -> None:
    """A worker relays its own; the dispatcher takes what is older."""
    await ledger.start_run(a_run())

    assert await ledger.due_outbox(10, NOW) == []
    assert len(await ledger.due_outbox(10, later(seconds=1))) == 1


async def test_one_runs_promises_can_be_asked_for(ledger: Ledger) -> None:
    """What was just started is relayed without waiting for its turn."""
    await ledger.start_run(a_run())
    new = a_run(WIDE)
    await ledger.start_run(new)

    rows = await ledger.due_outbox(10, later(seconds=1), new.run)

    assert {row.envelope.run for row in rows} == {new.run}
    assert len(rows) == 3


async def test_a_promise_that_was_taken_up_is_not_due(ledger: Ledger) -> None:
    """A claim shows that the message arrived, whoever relayed it and forgot to say so."""
    await ledger.start_run(a_run())
    [row] = await ledger.due_outbox(10, later(seconds=1))

    await claimed(ledger, row.envelope)

    assert await ledger.due_outbox(10, later(seconds=1)) == []


async def test_a_promise_of_a_retry_keeps_its_time(ledger: Ledger) -> None:
    """Whoever relays it."""
    await ledger.start_run(a_run())
    [envelope] = await promised(ledger)
    await carried_out(ledger, envelope, State.RETRYING, retry_at=later(minutes=9))

    [row] = await ledger.due_outbox(10, later(seconds=1))

    assert row.not_before == later(minutes=9)


async def test_an_envelope_survives_the_wire(ledger: Ledger) -> None:
    """What the outbox holds can be sent and read again, equal."""
    await ledger.start_run(a_run(WIDE, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"))

    for row in await ledger.due_outbox(10, later(seconds=1)):
        assert decoded(encoded(row.envelope)) == row.envelope
