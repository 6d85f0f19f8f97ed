"""Runs held at the admit gate: for room in an allowance, or until people let them through."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.allowance import Allowance
from contracts.request import RunAccepted
from contracts.states import State
from dispatcher.admissions import Admissions
from dispatcher.intake import Intake
from fleet.ledger.errors import VoteRefused
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.votes import Vote, Voted
from policies.gate import PolicyGate
from tests.dispatcher.conftest import Hands, Hurried, a_request
from tests.dispatcher.pipelines import REGISTRY


def allowing(gate: PolicyGate, **limits: int) -> PolicyGate:
    """The same rules, and so much for each tenant."""
    allowances = {"*": Allowance(**limits)}
    bundle = gate.bundle
    told = bundle.limits.model_copy(update={"allowances": allowances})
    return PolicyGate(replace(bundle, limits=told))


@pytest.fixture
def limited(intake: Intake, gate: PolicyGate) -> Intake:
    """One run of a tenant at a time."""
    return replace(intake, gate=allowing(gate, runs_in_flight=1))


@pytest.fixture
def admissions(limited: Intake, ledger: Ledger, clock: Hands, hurried: Hurried) -> Admissions:
    return Admissions(
        ledger=ledger, gate=limited.gate, registry=REGISTRY, clock=clock, hurry=hurried
    )


@pytest.fixture
async def held(limited: Intake, clock: Hands) -> str:
    """The id of a run that is held behind another."""
    await limited.accept(a_request())
    clock.advance(1)
    return (await limited.accept(a_request())).run


async def voted(
    ledger: Ledger, reader: LedgerReader, clock: Hands, run: str, who: str, *, approves: bool = True
) -> Voted:
    (row,) = [row for row in reader.approvals() if row.task == run]
    return await ledger.vote(
        Vote(
            task=run,
            digest=row.digest,
            person=who,
            approves=approves,
            comment="looked at",
            now=clock.now(),
        )
    )


async def cancelled(ledger: Ledger, run: str, clock: Hands) -> None:
    await ledger.cancel_run(run, "ana", "not needed", clock.now())


async def test_a_run_without_room_is_held_and_says_why(
    held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """It is in the ledger with its decision, has no tasks, and stands in the queue of approvals."""
    run = reader.run(held)

    assert (run.state, run.tasks, run.ended) == (State.HELD, 0, None)
    assert [reason.rule for reason in run.admitted.reasons] == ["quota.within_the_allowance"]
    assert run.admitted.facts["over"] == ["runs_in_flight"]
    (row,) = reader.approvals()
    assert (row.gate, row.task, row.run, row.requester) == ("admit", held, held, "ana")
    assert len(await ledger.due_outbox(10, clock.now() + timedelta(1))) == 1


async def test_a_held_run_starts_once_there_is_room(
    admissions: Admissions, held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """Not before; then with its first tasks promised, and nobody is asked any more."""
    await admissions.step()
    assert reader.run(held).state is State.HELD
    (first,) = reader.runs(state=State.RUNNING)
    await cancelled(ledger, first.run, clock)

    await admissions.step()

    assert reader.run(held).state is State.RUNNING
    assert reader.run(held).admitted.allowed
    assert [
        row.envelope.run for row in await ledger.due_outbox(10, clock.now() + timedelta(1))
    ] == [held]
    assert reader.approvals() == []


async def test_runs_start_in_the_order_in_which_they_were_held(
    limited: Intake,
    admissions: Admissions,
    held: str,
    reader: LedgerReader,
    ledger: Ledger,
    clock: Hands,
) -> None:
    """Neither a later held run nor a new one takes the room of the first that waits."""
    clock.advance(1)
    later = (await limited.accept(a_request())).run
    (first,) = reader.runs(state=State.RUNNING)
    await cancelled(ledger, first.run, clock)

    newest = await limited.accept(a_request())
    await admissions.step()

    assert newest.state == State.HELD
    assert reader.run(held).state is State.RUNNING
    assert reader.run(later).state is State.HELD


async def test_one_tenant_without_room_keeps_no_other_waiting(limited: Intake, held: str) -> None:
    """Allowances are each tenant's own."""
    other = await limited.accept(a_request(scope={"tenant": "beta"}))

    assert other.state == State.RUNNING


async def test_two_people_let_a_run_through(
    admissions: Admissions, held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """Past its quota, and past who waits before it; the decision names who they were."""
    first = await voted(ledger, reader, clock, held, "grace")
    await admissions.step()
    assert (first.state, reader.run(held).state) == (State.HELD, State.HELD)

    await voted(ledger, reader, clock, held, "joan")
    await admissions.step()

    run = reader.run(held)
    assert run.state is State.RUNNING
    assert run.admitted.facts["approvers"] == ["grace", "joan"]
    assert run.admitted.facts["over"] == ["runs_in_flight"]
    assert reader.tenants(clock.now())[0].runs_in_flight == 2


async def test_the_requester_and_the_same_person_twice_do_not_count(
    held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """Nor does a word on something else."""
    await voted(ledger, reader, clock, held, "grace")

    for who in ("ana", "GRACE"):
        with pytest.raises(VoteRefused):
            await voted(ledger, reader, clock, held, who)
    with pytest.raises(VoteRefused):
        await ledger.vote(
            Vote(
                task=held,
                digest="0" * 64,
                person="joan",
                approves=True,
                comment="x",
                now=clock.now(),
            )
        )


async def test_a_refused_run_is_denied(
    admissions: Admissions, held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """At once and for good, with who and why in its history."""
    await voted(ledger, reader, clock, held, "grace", approves=False)
    await admissions.step()

    run = reader.run(held)
    assert (run.state, run.ended) == (State.DENIED, clock.now())
    assert "looked at" in reader.history(held)[-1].detail
    assert reader.history(held)[-1].actor == "grace"


async def test_a_run_that_nobody_answers_expires(
    held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """Denied at its deadline, and off the queue."""
    clock.advance(24 * 3600 + 2)

    swept = await ledger.sweep(clock.now())

    assert swept.expired == 1 + 1  # the first run's task passed its deadline, too
    assert reader.run(held).state is State.DENIED
    assert reader.approvals() == []


async def test_a_held_run_can_be_cancelled(
    held: str, reader: LedgerReader, ledger: Ledger, clock: Hands
) -> None:
    """It ends as cancelled, from held."""
    await cancelled(ledger, held, clock)

    assert reader.run(held).state is State.CANCELLED
    assert reader.history(held)[-1].old == State.HELD
    assert reader.approvals() == []


async def test_dispatchers_at_once_admit_no_more_than_there_is_room_for(
    intake: Intake,
    gate: PolicyGate,
    reader: LedgerReader,
    clock: Hands,
    hurried: Hurried,
    address: str,
) -> None:
    """Two of them, each with its own ledger, taking requests and admitting held runs together."""
    allowed = allowing(gate, runs_in_flight=3)
    async with await Ledger.open(address) as one, await Ledger.open(address) as two:
        counter = itertools.count(1000)
        intakes = [
            replace(
                intake,
                ledger=each,
                gate=allowed,
                chance=lambda size: next(counter).to_bytes(size, "big"),
            )
            for each in (one, two)
        ]
        looks = [
            Admissions(ledger=each, gate=allowed, registry=REGISTRY, clock=clock, hurry=hurried)
            for each in (one, two)
        ]
        answers: list[RunAccepted] = await asyncio.gather(
            *(each.accept(a_request()) for _ in range(6) for each in intakes)
        )
        seen = [len(reader.runs(state=State.RUNNING))]
        for _ in range(3):
            running = reader.runs(state=State.RUNNING)
            await asyncio.gather(*(cancelled(one, run.run, clock) for run in running[:2]))
            await asyncio.gather(*(look.step() for look in looks * 2))
            seen.append(len(reader.runs(state=State.RUNNING)))

    assert len({answer.run for answer in answers}) == 12
    assert seen == [3, 3, 3, 3]
