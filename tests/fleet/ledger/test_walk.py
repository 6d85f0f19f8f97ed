"""Random walks: whatever happens in whatever order, the ledger stays within the state table."""

import random
from datetime import datetime, timedelta

import pytest

from contracts.envelope import Envelope
from contracts.states import FINAL, State, may_move
from fleet.ledger.errors import IllegalMove
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Claimed
from tests.fleet.ledger.story import (
    FAN,
    NOW,
    a_claim,
    a_record,
    a_run,
    listing,
    one_output,
    promised,
)

ENDS = [State.SUCCEEDED] * 6 + [
    State.FAILED,
    State.DENIED,
    State.RETRYING,
    State.QUEUED,
    State.HELD,
    State.PARKED,
]


class Walk:
    """One random story of one run: claims, records, sweeps, redrives, as chance has it."""

    def __init__(self, ledger: Ledger, reader: LedgerReader, seed: int) -> None:
        self.ledger, self.reader, self.chance = ledger, reader, random.Random(seed)
        self.new = a_run(FAN)
        self.envelopes: list[Envelope] = []
        self.held: list[tuple[Envelope, Claimed]] = []
        self.now: datetime = NOW

    async def step(self) -> None:
        self.now += timedelta(seconds=self.chance.choice([1, 5, 40]))
        self.envelopes += await promised(self.ledger, self.new.run)
        match self.chance.choice(["claim", "claim", "record", "record", "sweep", "redrive"]):
            case "claim" if self.envelopes:
                envelope = self.chance.choice(self.envelopes)  # often an old or closed one
                answer = await self.ledger.claim(a_claim(envelope, now=self.now))
                if isinstance(answer, Claimed):
                    self.held.append((envelope, answer))
            case "record" if self.held:
                await self.record()
            case "sweep":
                await self.ledger.sweep(self.now)
            case "redrive":
                await self.redrive()

    async def record(self) -> None:
        envelope, claim = self.held.pop(self.chance.randrange(len(self.held)))
        await self.ledger.renew([(claim.task, claim.epoch)], self.now + timedelta(60), self.now)
        task = self.reader.task(claim.task)
        if task.state is not State.RUNNING or len(task.attempts) > claim.epoch:
            return  # stale: test_record has that
        state = self.chance.choice(ENDS)
        more = one_output(envelope) if state is State.SUCCEEDED else {}
        if state is State.SUCCEEDED and envelope.stage == "list":
            more["partitions"] = tuple("abcd"[: self.chance.randrange(5)])
        if state is State.RETRYING:
            more["retry_at"] = self.now
        await self.ledger.record(a_record(claim, state, now=self.now, **more))

    async def redrive(self) -> None:
        task = self.chance.choice(self.reader.tasks(self.new.run))
        try:
            await self.ledger.redrive(task.task, "ada", "again", self.now)
        except IllegalMove:
            assert task.state not in {State.FAILED, State.DEAD, State.DENIED, State.PARKED}


def check(reader: LedgerReader, run: str) -> None:
    """What holds at every moment of every story."""
    detail, tasks = reader.run(run), reader.tasks(run)
    stands = {row.task: row.state for row in tasks}
    assert detail.tasks == len(tasks)
    assert detail.open_tasks == sum(row.state not in FINAL for row in tasks)
    assert (detail.state in FINAL) == (detail.open_tasks == 0)
    assert all(row.pending >= 0 for row in tasks)
    told: dict[str, State] = {}
    for event in reader.history(run):
        if event.task is None or event.old is None:
            continue
        assert may_move(event.old, event.new), event
        assert told.get(event.task, event.old) is event.old, event
        told[event.task] = event.new
    assert {task: stands[task] for task in told} == told


@pytest.mark.parametrize("seed", range(12))
async def test_a_random_walk_stays_in_the_table(
    ledger: Ledger, reader: LedgerReader, seed: int
) -> None:
    """Every event is a legal move, events and states agree, the counters are right.

    After all that, redriving what stands failed still lets the run succeed.
    """
    walk = Walk(ledger, reader, seed)
    await ledger.start_run(walk.new)

    for _ in range(60):
        await walk.step()
    check(reader, walk.new.run)

    await _brought_home(walk)
    check(reader, walk.new.run)
    assert reader.run(walk.new.run).state is State.SUCCEEDED


async def _brought_home(walk: Walk) -> None:
    """End leases, redrive what stands badly, carry the rest out, until the run succeeds."""
    for _ in range(30):
        walk.now += timedelta(minutes=1)
        await walk.ledger.sweep(walk.now)
        for row in walk.reader.tasks(walk.new.run):
            if row.state is State.HELD:
                # No approvals yet: a held task ends at its deadline, denied.
                walk.now = max(walk.now, row.deadline + timedelta(seconds=1))
                await walk.ledger.sweep(walk.now)
        for row in walk.reader.tasks(walk.new.run):
            if row.state in {State.FAILED, State.DEAD, State.DENIED, State.PARKED}:
                await walk.ledger.redrive(row.task, "ada", "again", walk.now)
        for envelope in [*walk.envelopes, *await promised(walk.ledger, walk.new.run)]:
            answer = await walk.ledger.claim(a_claim(envelope, now=walk.now))
            if isinstance(answer, Claimed):
                brought = listing("a", "b")(envelope)
                await walk.ledger.record(a_record(answer, now=walk.now, **brought))
        if walk.reader.run(walk.new.run).state is State.SUCCEEDED:
            return
