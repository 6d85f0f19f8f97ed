"""High-risk work: held for two people, bound to what they approved, and done in working hours."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import policies
from contracts.lane import LaneTable
from contracts.outcome import FaultKind, Produced
from contracts.states import State
from fleet.ledger.errors import UnknownRow, VoteRefused
from fleet.ledger.redrive import Edit
from fleet.ledger.votes import Vote
from policies.bundle import load_bundle
from policies.gate import PolicyGate
from policies.limits import WorkingHours
from tests.workers.conftest import RUN, Fleet, a_stage
from workers.stages.handler import StageFault, Workbench

RULES = Path(policies.__file__).parent / "rules"
ALWAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = WorkingHours.model_validate({"days": ALWAYS, "from": "00:00", "to": "23:59", "zone": "UTC"})


def risky(fleet: Fleet, hours: WorkingHours = DAY) -> None:
    """From now on the lane is one for high-risk work."""
    fleet.lane = fleet.lane.model_copy(update={"high_risk": True})
    bundle = load_bundle(RULES, LaneTable([fleet.lane]))
    limits = bundle.limits.model_copy(update={"working_hours": hours})
    fleet.site = replace(fleet.site, gate=PolicyGate(replace(bundle, limits=limits)))


@pytest.fixture
async def held(fleet: Fleet) -> Fleet:
    """A fleet with one held task."""
    risky(fleet)
    await fleet.start(a_stage("only"))
    await fleet.deliver()
    return fleet


def a_vote(fleet: Fleet, person: str, *, approves: bool = True, digest: str | None = None) -> Vote:
    (row,) = fleet.reader.approvals()
    return Vote(
        task=row.task,
        digest=digest or row.digest,
        person=person,
        approves=approves,
        comment="looked through",
        now=fleet.clock.now(),
    )


async def test_high_risk_work_is_held_and_two_people_let_it_go_on(held: Fleet) -> None:
    """One approval is not enough; the second queues it, and the decision names who approved."""
    task = held.task("only")
    first = await held.site.ledger.vote(a_vote(held, "Grace"))
    second = await held.site.ledger.vote(a_vote(held, "joan"))
    await held.relay()
    await held.deliver()

    assert (task.state, task.outputs) == (State.HELD, ())
    assert (first.state, second.state) == (State.HELD, State.QUEUED)
    done = held.task("only")
    assert done.state is State.SUCCEEDED
    assert done.decisions[-2].decision.facts["approvers"] == ["grace", "joan"]
    assert [e.actor for e in done.history if "looked through" in e.detail] == ["grace", "joan"]
    assert held.reader.approvals() == []


async def test_a_refusal_denies_with_its_comment(held: Fleet) -> None:
    """One is enough; the run ends denied."""
    voted = await held.site.ledger.vote(a_vote(held, "grace", approves=False))

    task = held.task("only")
    assert voted.state is task.state is State.DENIED
    assert task.fault is not None
    assert (task.fault.code, task.fault.message) == ("approval.refused", "looked through")
    assert held.reader.run(RUN).state is State.DENIED


@pytest.mark.parametrize("spelling", ["ada@example.com", "ADA@example.com", " ada@example.com "])
async def test_the_requester_cannot_approve(held: Fleet, spelling: str) -> None:
    """Under no spelling of the name."""
    with pytest.raises(VoteRefused, match="who asked for it"):
        await held.site.ledger.vote(a_vote(held, spelling))


async def test_one_person_counts_once(held: Fleet) -> None:
    """However the name is written."""
    await held.site.ledger.vote(a_vote(held, "grace"))

    with pytest.raises(VoteRefused, match="already"):
        await held.site.ledger.vote(a_vote(held, "GRACE "))

    assert held.task("only").state is State.HELD


async def test_an_approval_is_of_what_was_looked_at(held: Fleet) -> None:
    """Another digest, an unknown task, or a task that is not held takes no votes."""
    vote = a_vote(held, "grace")

    with pytest.raises(VoteRefused, match="not what it was"):
        await held.site.ledger.vote(a_vote(held, "grace", digest="0" * 64))
    with pytest.raises(UnknownRow):
        await held.site.ledger.vote(replace(vote, task="nothing"))
    await held.site.ledger.cancel_run(RUN, "ada", "not needed", held.clock.now())
    with pytest.raises(VoteRefused, match="does not wait"):
        await held.site.ledger.vote(vote)


async def test_approvals_of_another_digest_do_not_count(held: Fleet) -> None:
    """When what the task would do has changed, it is asked for anew."""
    task = held.task("only").task
    digest = held.reader.approvals()[0].digest
    for person in ("grace", "joan"):
        await held.site.ledger.vote(a_vote(held, person))

    assert await held.site.ledger.approvers(task, digest) == ("grace", "joan")
    assert await held.site.ledger.approvers(task, "0" * 64) == ()


async def test_an_edited_task_is_asked_for_anew(held: Fleet) -> None:
    """Approved, failed and tried again as it was, it runs on the approvals it has; tried again with
    another payload, it is held again, and they do not count."""

    def breaks(bench: Workbench) -> Produced:
        raise StageFault(FaultKind.PERMANENT, "source.gone", "it is not there")

    held.handle(breaks)
    (asked,) = held.reader.approvals()
    for person in ("grace", "joan"):
        await held.site.ledger.vote(a_vote(held, person))
    await held.relay()
    await held.deliver()
    assert held.task("only").state is State.FAILED

    await held.site.ledger.redrive(asked.task, "ada", "as it was", held.clock.now())
    await held.relay()
    await held.deliver()
    assert held.task("only").state is State.FAILED
    edit = Edit(payload={"word": "other"}, difference=[])
    await held.site.ledger.redrive(asked.task, "ada", "edited", held.clock.now(), edit=edit)
    await held.relay()
    await held.deliver()

    assert held.task("only").state is State.HELD
    (again,) = held.reader.approvals()
    assert (again.task, again.approved_by) == (asked.task, ())
    assert again.digest != asked.digest


async def test_what_nobody_answers_is_denied(held: Fleet) -> None:
    """Once it has expired, by the sweeper; a second sweep finds nothing."""
    late = held.reader.approvals()[0].expires + timedelta(seconds=1)

    swept = await held.site.ledger.sweep(late)
    again = await held.site.ledger.sweep(late)

    assert (swept.expired, again.expired) == (1, 0)
    assert held.task("only").state is State.DENIED
    assert held.reader.approvals() == []


async def test_approved_work_waits_for_working_hours(
    fleet: Fleet, closed: Callable[[Fleet], WorkingHours]
) -> None:
    """Its next attempt is promised for when they begin."""
    risky(fleet, closed(fleet))
    await fleet.start(a_stage("only"))
    await fleet.deliver()
    for person in ("grace", "joan"):
        await fleet.site.ledger.vote(a_vote(fleet, person))
    await fleet.relay()

    await fleet.deliver()

    task = fleet.task("only")
    hours = closed(fleet)
    assert task.state is State.RETRYING
    assert hours.next_opening(fleet.clock.now()).isoformat()[:10] in task.history[-1].detail


@pytest.fixture
def closed() -> Callable[[Fleet], WorkingHours]:
    """Working hours of the day that is longest away."""

    def of(fleet: Fleet) -> WorkingHours:
        day = ALWAYS[(fleet.clock.now().weekday() + 3) % 7]
        return WorkingHours.model_validate(
            {"days": [day], "from": "08:00", "to": "18:00", "zone": "UTC"}
        )

    return of
