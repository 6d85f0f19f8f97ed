"""Runs whose first stage has failed, for operators to look at."""

from contracts.outcome import Fault, FaultKind
from contracts.states import State
from dispatcher.intake import Intake
from fleet.ledger.ledger import Ledger
from fleet.ledger.rows import Claim, Claimed, Record
from tests.dispatcher.conftest import Hands, a_request

CAUSES = ("the source did not answer within {} s", "client {} is not known")


async def failed_runs(intake: Intake, ledger: Ledger, clock: Hands, count: int) -> list[str]:
    """The failed tasks of `count` runs, by turns of two causes."""
    tasks = []
    for number in range(count):
        run = (await intake.accept(a_request(key=f"k{number}"))).run
        tasks.append(await fail_next(ledger, clock, run, CAUSES[number % 2].format(number)))
    return tasks


async def fail_next(ledger: Ledger, clock: Hands, run: str, words: str) -> str:
    """Take the promised attempt of a run, and fail it for good; its task."""
    fault = Fault(kind=FaultKind.PERMANENT, code="source.odd", message=words)
    return await _end_next(ledger, clock, run, State.FAILED, fault)


async def park_next(ledger: Ledger, clock: Hands, run: str) -> str:
    """Take the promised attempt of a run, and park it; its task."""
    fault = Fault(kind=FaultKind.PARKED, code="kind.unknown", message="not known here")
    return await _end_next(ledger, clock, run, State.PARKED, fault)


async def _end_next(ledger: Ledger, clock: Hands, run: str, state: State, fault: Fault) -> str:
    [row] = await ledger.due_outbox(10, clock.now().replace(year=2030), run)
    claimed = await ledger.claim(
        Claim(
            task=row.envelope.task,
            attempt=row.envelope.attempt,
            worker="w1",
            now=clock.now(),
            lease_until=clock.now(),
        )
    )
    assert isinstance(claimed, Claimed)
    await ledger.record(
        Record(
            task=claimed.task,
            epoch=claimed.epoch,
            worker="w1",
            now=clock.now(),
            state=state,
            fault=fault,
        )
    )
    return claimed.task
