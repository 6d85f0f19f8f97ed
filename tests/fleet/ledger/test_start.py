"""Starting runs."""

import asyncio

import pytest

from contracts.allowance import Allowance
from contracts.decision import Gate, Verdict
from contracts.states import State
from fleet.ledger.errors import IllegalRecord, OverAllowance
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import RELAYED_AT_ONCE
from tests.fleet.ledger.story import (
    CHAIN,
    NOW,
    TRACE,
    a_decision,
    a_graph,
    a_pointer,
    a_run,
    a_stage,
    later,
    promised,
)


async def test_a_run_promises_what_waits_for_nothing(ledger: Ledger, reader: LedgerReader) -> None:
    """The first tasks are on the outbox, the others wait."""
    new = a_run(CHAIN)

    accepted = await ledger.start_run(new)

    assert (accepted.run, accepted.created, accepted.state) == (new.run, True, "running")
    assert [envelope.stage for envelope in await promised(ledger)] == ["first"]
    states = {row.stage: (row.state, row.pending) for row in reader.tasks(new.run)}
    assert states == {"first": (State.QUEUED, 0), "second": (State.WAITING, 1)}


async def test_an_envelope_says_all_that_a_worker_has_to_know(ledger: Ledger) -> None:
    """Request, plan and decision arrive in the envelope."""
    file = a_pointer("query.sql")
    graph = a_graph(
        a_stage(
            "load",
            lane="compute",
            version=2,
            payload={"of": "${partition}", "n": [1]},
            partitions=("2026-01",),
            files={"query.sql": file},
        )
    )
    new = a_run(graph, traceparent=TRACE)

    await ledger.start_run(new)

    [row] = await ledger.due_outbox(10, later(seconds=1))
    envelope = row.envelope
    assert (row.queue, row.not_before) == ("lane-compute", None)
    assert (envelope.run, envelope.stage, envelope.partition) == (new.run, "load", "2026-01")
    assert (envelope.kind, envelope.version, envelope.attempt) == ("test.load", 2, 1)
    assert (envelope.pipeline, envelope.requester, envelope.generation) == ("sales", "ada", 7)
    assert (envelope.created, envelope.deadline) == (NOW, new.deadline)
    assert envelope.traceparent == TRACE
    assert envelope.body.payload == {"of": "2026-01", "n": [1]}
    assert envelope.body.files == {"query.sql": file}


async def test_a_key_starts_one_run(ledger: Ledger) -> None:
    """The same tenant and key give the first run, however often it is asked for."""
    first = await ledger.start_run(a_run(key="nightly"))

    again = await ledger.start_run(a_run(key="nightly"))

    assert (first.created, again.created) == (True, False)
    assert again.run == first.run
    assert len(await promised(ledger)) == 1


async def test_requests_without_a_key_start_a_run_each(ledger: Ledger) -> None:
    """No key, no idempotency."""
    first, second = await ledger.start_run(a_run()), await ledger.start_run(a_run())

    assert first.created
    assert second.created


async def test_a_key_starts_one_run_from_many_sides_at_once(ledger: Ledger, url: str) -> None:
    """Two processes' ledgers, many requests at the same time: one run."""
    async with await Ledger.open(url) as other:
        accepted = await asyncio.gather(
            *[side.start_run(a_run(key="nightly")) for side in (ledger, other) for _ in range(20)]
        )

    assert len({answer.run for answer in accepted}) == 1
    assert sum(answer.created for answer in accepted) == 1
    assert len(await promised(ledger)) == 1


async def test_a_denied_run_is_recorded_and_does_nothing(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The decision is kept with the run, which has no tasks."""
    denied = a_decision(Verdict.DENY, Gate.ADMIT)
    new = a_run(admitted=denied)

    accepted = await ledger.start_run(new)

    assert accepted.state == "denied"
    run = reader.run(new.run)
    assert (run.state, run.tasks, run.admitted) == (State.DENIED, 0, denied)
    assert await promised(ledger) == []


async def test_a_run_of_nothing_has_succeeded(ledger: Ledger, reader: LedgerReader) -> None:
    """A fan-out over no partitions leaves nothing to wait for."""
    new = a_run(a_graph(a_stage("fetch", partitions=())))

    accepted = await ledger.start_run(new)

    assert accepted.state == "succeeded"
    assert reader.run(new.run).ended == NOW


async def test_a_fan_out_over_several_discoverers_is_refused(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Whose partitions would they be? Nothing is recorded."""
    graph = a_graph(
        a_stage("list", partitions=("a", "b")),
        a_stage("fetch", needs=("list",), discovered_by="list"),
    )

    with pytest.raises(IllegalRecord, match="several tasks of 'list'"):
        await ledger.start_run(a_run(graph))

    assert reader.runs() == []


async def test_a_run_for_later_is_there_at_once_and_starts_no_sooner(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """Its first messages are for its time, the sweep takes none of them for lost, and it can be
    cancelled meanwhile."""
    new = a_run()
    request = new.request.model_copy(update={"start_at": later(hours=1)})
    run = (await ledger.start_run(new.model_copy(update={"request": request}))).run

    (row,) = await ledger.due_outbox(10, later(seconds=1), run)
    await ledger.mark_relayed([row.seq], NOW)
    await ledger.worker_seen("w1", ["mirror"], later(minutes=50), {})
    swept = await ledger.sweep(later(minutes=50))
    standing = reader.run(run).state
    await ledger.cancel_run(run, "ada", "not needed", later(minutes=51))

    assert row.not_before == later(hours=1)
    assert swept.promised_again == 0
    assert standing is State.RUNNING
    assert reader.run(run).state is State.CANCELLED


async def test_runs_asked_for_together_each_get_their_own_answer(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """What is refused, denied, over its allowance or the same again does not touch the others."""
    refused = a_run(
        a_graph(
            a_stage("list", partitions=("a", "b")),
            a_stage("fetch", needs=("list",), discovered_by="list"),
        )
    )
    allowance = Allowance(runs_in_flight=1)
    asked = [
        a_run(key="k"),
        refused,
        a_run(admitted=a_decision(Verdict.DENY, Gate.ADMIT)),
        a_run(allowance=allowance),
        a_run(allowance=allowance),
        a_run(key="k"),
        a_run(a_graph(a_stage("wide", partitions=tuple(map(str, range(300)))))),
        a_run(),
    ]

    answers = await asyncio.gather(*map(ledger.start_run, asked), return_exceptions=True)

    told = [one if isinstance(one, BaseException) else (one.created, one.state) for one in answers]
    running = (True, "running")
    assert told[0] == told[3] == told[6] == told[7] == running
    assert told[2] == (True, "denied")
    assert told[5] == (False, "running")
    assert isinstance(told[1], IllegalRecord)
    assert isinstance(told[4], OverAllowance)
    assert [len(reader.tasks(asked[place].run)) for place in (0, 3, 6, 7)] == [2, 2, 300, 2]


async def test_what_a_run_promises_is_handed_to_who_asked_for_it(ledger: Ledger) -> None:
    """All of it, as the outbox has it, so that nobody has to look there."""
    started = await ledger.start_run(a_run(a_graph(a_stage("fetch", partitions=("a", "b")))))

    assert list(started.outbox) == await ledger.due_outbox(10, later(seconds=1))
    assert [row.envelope.partition for row in started.outbox] == ["a", "b"]


async def test_a_run_too_wide_to_be_handed_over_is_left_to_the_outbox(ledger: Ledger) -> None:
    """Some of its rows would leave the others waiting."""
    wide = a_graph(a_stage("fetch", partitions=tuple(map(str, range(RELAYED_AT_ONCE + 1)))))

    assert (await ledger.start_run(a_run(wide))).outbox == ()
    assert len(await ledger.due_outbox(1000, later(seconds=1))) == RELAYED_AT_ONCE + 1


async def test_nothing_is_handed_over_while_something_is_paused(ledger: Ledger) -> None:
    """The outbox knows what may be relayed."""
    await ledger.pause(
        Pause(what="pipeline", name="sales", resume=False, actor="ada", reason="r", now=NOW)
    )

    assert (await ledger.start_run(a_run())).outbox == ()
    assert await ledger.due_outbox(10, later(seconds=1)) == []
