"""A claim brings the digest of its envelope: only what was promised is taken up."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from contracts.artifact import ArtifactPointer, Scope
from contracts.envelope import Envelope, decoded, encoded
from contracts.limit import Slot
from contracts.promised import digest_of
from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.pauses import Pause
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Claimed, NotClaimed
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    a_claim,
    a_graph,
    a_pointer,
    a_record,
    a_run,
    a_stage,
    finished,
    later,
    listing,
    promised,
    refused,
)


async def brought(ledger: Ledger, envelope: Envelope) -> Claimed | NotClaimed:
    """A claim as a worker makes it."""
    claim = replace(a_claim(envelope), digest=digest_of(envelope))
    return await ledger.claim(claim)


def altered(envelope: Envelope, **body: Any) -> Envelope:
    return envelope.model_copy(update={"body": envelope.body.model_copy(update=body)})


def another(pointer: ArtifactPointer) -> dict[str, tuple[ArtifactPointer, ...]]:
    return {"list": (pointer.model_copy(update={"digest": "b" * 64}),)}


async def test_what_travelled_is_what_was_promised(ledger: Ledger) -> None:
    """Every envelope of a fan-out and its fan-in keeps its digest over the wire."""
    new = a_run(FAN)
    await ledger.start_run(new)

    seen = await finished(ledger, new.run, listing("a", "b"))

    assert len(seen) == 6
    for envelope in seen:
        assert digest_of(decoded(encoded(envelope))) == digest_of(envelope)


LIMITED = a_graph(
    a_stage("list", isolated=True, slots=(Slot(key="pipeline/sales/acme", running=2),))
)


@pytest.mark.parametrize(
    "forged",
    [
        lambda e: e.model_copy(update={"slots": ()}),
        lambda e: e.model_copy(update={"slots": (Slot(key="mine alone", running=9),)}),
        lambda e: e.model_copy(update={"isolated": False}),
    ],
)
async def test_nobody_takes_the_limits_off_an_envelope(ledger: Ledger, forged: Any) -> None:
    """Slots and a pod of its own are part of what was promised."""
    await ledger.start_run(a_run(LIMITED))
    [envelope] = await promised(ledger)

    false = refused(await brought(ledger, forged(envelope)))
    true = await brought(ledger, decoded(encoded(envelope)))

    assert false.why == "altered"
    assert isinstance(true, Claimed)


@pytest.mark.parametrize(
    "forged",
    [
        lambda e: altered(e, payload={"of": "everything"}),
        lambda e: altered(e, inputs=another(a_pointer())),
        lambda e: altered(e, files={"queries/all.sql": a_pointer()}),
        lambda e: altered(e, gathers=("list",)),
        lambda e: e.model_copy(update={"scope": Scope(tenant="other")}),
        lambda e: e.model_copy(update={"flags": ("mutate",)}),
        lambda e: e.model_copy(update={"requester": "root"}),
        lambda e: e.model_copy(update={"kind": "test.other"}),
    ],
)
async def test_an_altered_envelope_is_not_taken_up(ledger: Ledger, forged: Any) -> None:
    """Of a queued task as of a running one; the true one is."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)
    false = forged(envelope)

    first = refused(await brought(ledger, false))
    true = await brought(ledger, envelope)
    second = refused(await brought(ledger, false))

    assert (first.why, second.why) == ("altered", "altered")
    assert isinstance(true, Claimed)


async def test_a_released_task_keeps_its_promise(ledger: Ledger) -> None:
    """The message that comes back is compared with what was taken up."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)
    claim = await brought(ledger, envelope)
    assert isinstance(claim, Claimed)
    await ledger.record(a_record(claim, State.QUEUED))

    forged = await brought(ledger, altered(envelope, payload={"of": "everything"}))
    again = await brought(ledger, envelope)

    assert refused(forged).why == "altered"
    assert isinstance(again, Claimed)


async def test_what_an_older_process_promised_is_taken_at_its_word(ledger: Ledger) -> None:
    """It knows of no digests: its row has the database's default."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET digest = ''"))

    claim = await brought(ledger, envelope)

    assert isinstance(claim, Claimed)
    assert claim.attempt == envelope.attempt


async def test_what_a_release_promised_that_digests_otherwise_is_promised_anew(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """One from before slots were digested: refused as a forged one is, for nobody could tell them
    apart; the sweep promises it again, at no cost, and that is taken up."""
    await ledger.start_run(a_run(LIMITED))
    [envelope] = await promised(ledger)
    older = digest_of(envelope.model_copy(update={"slots": (), "isolated": False}))
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE outbox SET digest = :older"), {"older": older})
    allowed = reader.task(envelope.task).max_attempts

    first = refused(await brought(ledger, envelope))
    await ledger.worker_seen("w1", [envelope.lane], later(minutes=10), {})
    early = await ledger.sweep(later(minutes=10))
    swept = await ledger.sweep(later(minutes=10, seconds=1))
    [again] = await promised(ledger)

    assert first.why == "altered"
    assert (early.promised_again, swept.promised_again) == (0, 1)
    assert isinstance(await brought(ledger, again), Claimed)
    task = reader.task(envelope.task)
    assert (task.attempt, task.max_attempts) == (2, allowed + 1)


async def test_an_older_worker_is_not_asked_for_a_digest(ledger: Ledger) -> None:
    """Its claims bring none."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)

    assert isinstance(await ledger.claim(a_claim(envelope)), Claimed)
    assert a_claim(envelope, now=NOW).digest == ""


async def test_a_forged_envelope_is_refused_during_a_pause_too(ledger: Ledger) -> None:
    """It is not put off as the true one is: what puts off a task promises it again."""
    await ledger.start_run(a_run(FAN))
    [envelope] = await promised(ledger)
    pause = Pause(what="lane", name=envelope.lane, resume=False, actor="a", reason="r", now=NOW)
    await ledger.pause(pause)

    forged = refused(await brought(ledger, altered(envelope, payload={"of": "everything"})))
    true = refused(await brought(ledger, envelope))

    assert (forged.why, true.why) == ("altered", "paused")
