"""Dead letters by cause."""

from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import DeadLetter, Selection
from tests.fleet.ledger.graveyard import CAUSES, buried
from tests.fleet.ledger.story import (
    NOW,
    a_graph,
    a_run,
    a_stage,
    carried_out,
    finished,
    later,
    promised,
)


async def test_a_thousand_failures_of_three_causes_are_three_groups(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Each with its count, its time, an example and where it is."""
    await buried(ledger, 30)

    groups = reader.dead_groups(NOW)

    assert {group.reason: group.count for group in groups} == {code: 10 for code, _ in CAUSES}
    for group in groups:
        assert (group.first, group.last, group.where) == (NOW, NOW, {"fetch": 10})
        fault = reader.task(group.sample_id).fault
        assert fault is not None
        assert fault.message == group.sample


async def test_a_group_tells_when_its_failures_came(ledger: Ledger, reader: LedgerReader) -> None:
    """By hours, the latest last; what is older than a day is not in the trend."""
    await buried(ledger, 4, causes=1)

    [group] = reader.dead_groups(later(hours=2))
    [day_later] = reader.dead_groups(later(hours=30))

    assert len(group.trend) == 24
    assert group.trend[-3:] == (4, 0, 0)
    assert sum(day_later.trend) == 0


async def test_what_is_redriven_leaves_its_group(ledger: Ledger, reader: LedgerReader) -> None:
    """And does not come back when it succeeds."""
    first, *_ = await buried(ledger, 2, causes=1)

    await ledger.redrive(first, "ada", "again", NOW)
    [group] = reader.dead_groups(NOW)
    await finished(ledger, reader.task(first).run)

    assert group.count == 1
    assert reader.dead_groups(NOW) == [group]


async def test_parked_tasks_and_exhausted_ones_are_grouped_too(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """As is what the sweeper ended."""
    await ledger.start_run(a_run(a_graph(a_stage("one"), a_stage("two"))))
    await ledger.start_run(a_run(a_graph(a_stage("three"))))
    one, two, _ = await promised(ledger)
    await carried_out(ledger, one, State.PARKED)
    await carried_out(ledger, two, State.DEAD)
    while (await ledger.sweep(later(hours=3))).moved:
        pass

    groups = reader.dead_groups(NOW)

    assert sorted((group.reason, group.count) for group in groups) == [
        ("deadline.passed", 2),
        ("source.gone", 1),
    ]


async def test_messages_are_grouped_by_why_they_were_not_taken(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Their queues are where they are."""
    for number in range(3):
        await ledger.dead_letter(
            DeadLetter(
                queue="intake",
                message_id=f"m{number}",
                sequence_number=number,
                disposition="dead",
                reason="malformed",
                description=f"field {number} is missing",
                size=7,
                at=later(minutes=number),
            )
        )

    [group] = reader.dead_groups(NOW)

    assert (group.what, group.count, group.where) == ("message", 3, {"intake": 3})
    assert (group.sample_id, group.sample) == ("intake/2", "field 2 is missing")
    assert (group.first, group.last) == (NOW, later(minutes=2))


async def test_nobody_waits_for_a_cancelled_run(ledger: Ledger, reader: LedgerReader) -> None:
    """Its failures are in no group, and no redrive of all chooses them."""
    new = a_run(a_graph(a_stage("one"), a_stage("two")))
    await ledger.start_run(new)
    one, _ = await promised(ledger)
    await carried_out(ledger, one, State.FAILED)
    await ledger.cancel_run(new.run, "ada", "wrong month", NOW)

    assert reader.dead_groups(NOW) == []
    assert reader.preview(Selection(everything=True)).total == 0


async def test_a_preview_counts_by_cause_and_changes_nothing(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """What is named and is no dead letter is counted apart."""
    tasks = await buried(ledger, 7)
    before = reader.dead_groups(NOW)

    everything = reader.preview(Selection(everything=True))
    group = reader.preview(Selection(group=before[0].fingerprint))
    named = reader.preview(Selection(tasks=(tasks[0], tasks[1], "00000000-aaaa")))

    assert (everything.total, [one.count for one in everything.groups]) == (7, [3, 2, 2])
    assert (group.total, group.groups[0].fingerprint) == (3, before[0].fingerprint)
    assert (named.total, named.refused) == (2, 1)
    assert reader.dead_groups(NOW) == before
