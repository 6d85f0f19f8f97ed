"""Slots: never more than there are, none that leaks, each tenant in its turn."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.artifact import Scope
from contracts.envelope import Envelope
from contracts.limit import Slot
from contracts.states import State
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.rows import Claim, Claimed, NotClaimed
from tests.fleet.ledger.story import (
    NOW,
    a_claim,
    a_graph,
    a_record,
    a_run,
    a_stage,
    later,
    promised,
    refused,
)
from tests.fleet.ledger.test_pauses import a_pause, woken

TWO = Slot(key="lane/mirror/acme", running=2)
_files = itertools.count()


def a_wide_graph(width: int) -> Any:
    return a_graph(a_stage("work", partitions=tuple(f"p{n:03}" for n in range(width))))


def asks(envelope: Envelope, *slots: Slot, now: datetime = NOW, worker: str = "w1") -> Claim:
    return replace(a_claim(envelope, worker, now), slots=slots)


async def started(ledger: Ledger, width: int, tenant: str = "acme", priority: int = 5) -> Any:
    run = a_run(a_wide_graph(width))
    update = {"scope": Scope(tenant=tenant), "priority": priority}
    request = run.request.model_copy(update=update)
    await ledger.start_run(run.model_copy(update={"request": request}))
    return await promised(ledger, run.run)


async def test_a_key_runs_as_many_as_it_may_and_the_next_when_one_ends(
    ledger: Ledger, reader: LedgerReader
) -> None:
    """The record that frees the slot brings the next one's envelope, to be relayed at once."""
    one, two, three = await started(ledger, 3)
    first = await ledger.claim(asks(one, TWO))
    await ledger.claim(asks(two, TWO))
    third = refused(await ledger.claim(asks(three, TWO)))
    assert isinstance(first, Claimed)

    recorded = await ledger.record(a_record(first, slots=(TWO.key,)))
    (again,) = [row.envelope for row in recorded.outbox]
    answer = await ledger.claim(asks(again, TWO))

    assert (third.why, third.holder) == ("put_off", TWO.key)
    assert again.task == three.task
    assert isinstance(answer, Claimed)
    (row,) = reader.slots()
    assert (row.key, row.running, row.held, row.waiting) == (TWO.key, 2, 2, 0)


async def test_a_holder_that_dies_frees_its_slot_when_its_lease_lapses(ledger: Ledger) -> None:
    """Nobody gives the slot back: the sweep of the lease is enough."""
    single = Slot(key="k", running=1)
    one, two = await started(ledger, 2)
    await ledger.claim(asks(one, single, worker="dies"))
    refused(await ledger.claim(asks(two, single)))

    before = await woken(ledger, 20)
    await ledger.sweep(later(seconds=40))
    after = await woken(ledger, 41)

    assert (before, after) == (0, 1)


async def test_a_released_task_gives_its_slot_to_the_next(ledger: Ledger) -> None:
    """An interruption frees the slot like any other end."""
    single = Slot(key="k", running=1)
    one, two = await started(ledger, 2)
    holder = await ledger.claim(asks(one, single))
    refused(await ledger.claim(asks(two, single)))
    assert isinstance(holder, Claimed)

    recorded = await ledger.record(a_record(holder, State.QUEUED, slots=("k",)))

    assert [row.envelope.task for row in recorded.outbox] == [two.task]


async def test_a_tenant_with_a_thousand_waiting_does_not_keep_another_out(ledger: Ledger) -> None:
    """Under one key the slots go round among the tenants."""
    single = Slot(key="k", running=1)
    many = await started(ledger, 40, tenant="loud")
    holder = await ledger.claim(asks(many[0], single))
    for envelope in many[1:]:
        refused(await ledger.claim(asks(envelope, single)))
    few = await started(ledger, 2, tenant="quiet")
    for envelope in few:
        refused(await ledger.claim(asks(envelope, single)))

    order = []
    for _ in range(5):
        assert isinstance(holder, Claimed)
        recorded = await ledger.record(a_record(holder, slots=("k",)))
        (again,) = [row.envelope for row in recorded.outbox]
        order.append(again.scope.tenant)
        holder = await ledger.claim(asks(again, single))

    assert Counter(order)["quiet"] == 2


async def test_a_newcomer_does_not_overtake_who_waits(ledger: Ledger) -> None:
    """A slot that is free for a moment belongs to the one that waits."""
    single = Slot(key="k", running=1)
    one, two, three = await started(ledger, 3)
    holder = await ledger.claim(asks(one, single))
    refused(await ledger.claim(asks(two, single)))
    assert isinstance(holder, Claimed)
    await ledger.record(a_record(holder))  # as an old worker does, which tells of no slots

    newcomer = await ledger.claim(asks(three, single))

    assert refused(newcomer).why == "put_off"
    assert await woken(ledger) == 1


async def test_an_urgent_task_gets_the_next_slot(ledger: Ledger) -> None:
    """Whatever waits longer."""
    single = Slot(key="k", running=1)
    one, two = await started(ledger, 2)
    holder = await ledger.claim(asks(one, single))
    refused(await ledger.claim(asks(two, single)))
    (urgent,) = await started(ledger, 1, priority=9)
    refused(await ledger.claim(asks(urgent, single)))
    assert isinstance(holder, Claimed)

    recorded = await ledger.record(a_record(holder, slots=("k",)))

    assert [row.envelope.task for row in recorded.outbox] == [urgent.task]


async def test_starts_are_spaced_and_none_is_lost(ledger: Ledger) -> None:
    """At most so many in any span: a start that must wait is delivered when it is due."""
    paced = Slot(key="api", starts=2, per=1)
    envelopes = await started(ledger, 5)
    granted = [isinstance(await ledger.claim(asks(one, paced)), Claimed) for one in envelopes]

    times: list[datetime] = []
    for seconds in (0.0, 1.0, 2.0, 3.0):
        keys = await ledger.wakeable(later(seconds=seconds))
        if keys:
            outbox = (await ledger.wake(keys, later(seconds=seconds))).outbox
            times += [row.not_before or later(seconds=seconds) for row in outbox]

    assert granted == [True, False, False, False, False]
    assert times == [NOW + timedelta(seconds=0.5 * n) for n in (1, 2, 3, 4)]


async def test_a_task_of_two_limits_holds_neither_until_it_has_both(ledger: Ledger) -> None:
    """So that what waits for one keeps nobody from the other."""
    left, right = Slot(key="left", running=1), Slot(key="right", running=1)
    one, two, three = await started(ledger, 3)
    await ledger.claim(asks(one, left))
    refused(await ledger.claim(asks(two, left, right)))

    assert isinstance(await ledger.claim(asks(three, right)), Claimed)


async def test_a_pause_takes_the_promised_slot_back(ledger: Ledger) -> None:
    """Else the key would stand still for as long as the pause of one of its pipelines lasts."""
    single = Slot(key="k", running=1)
    one, two = await started(ledger, 2)
    holder = await ledger.claim(asks(one, single))
    refused(await ledger.claim(asks(two, single)))
    assert isinstance(holder, Claimed)
    recorded = await ledger.record(a_record(holder, slots=("k",)))
    (again,) = [row.envelope for row in recorded.outbox]
    await ledger.pause(a_pause("pipeline", "sales"))
    refused(await ledger.claim(asks(again, single)))

    other = a_run(a_wide_graph(1))
    request = other.request.model_copy(update={"pipeline": "costs"})
    await ledger.start_run(other.model_copy(update={"request": request}))
    (theirs,) = await promised(ledger, other.run)

    assert isinstance(await ledger.claim(asks(theirs, single)), Claimed)


async def test_claims_without_limits_cost_not_one_statement_more(ledger: Ledger) -> None:
    """The price of slots is paid by who uses them."""
    from sqlalchemy import event

    one, two = await started(ledger, 2)
    said: list[str] = []
    event.listen(
        ledger.engine, "before_cursor_execute", lambda *given: said.append(given[2].split("\n")[0])
    )
    claim = await ledger.claim(a_claim(one))
    assert isinstance(claim, Claimed)
    await ledger.record(a_record(claim))
    plain = list(said)
    said.clear()
    limited = await ledger.claim(asks(two, TWO))
    assert isinstance(limited, Claimed)

    assert not any("slot" in words or "put_off" in words for words in plain)
    assert any("slot" in words for words in said)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_happens_no_key_is_over_its_limit_and_all_run_in_the_end(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Claims, ends, deaths, sweeps, pauses and wakes in any order."""
    url = f"sqlite:///{tmp_path / str(next(_files))}.db"
    async with await Ledger.open(url) as ledger:
        walk = _Walk(ledger, LedgerReader(url), await started(ledger, 6))
        for step in data.draw(st.lists(st.sampled_from(_Walk.STEPS), max_size=30)):
            await getattr(walk, step)(data)
            walk.check()
        await walk.to_the_end()


class _Walk:
    """Six tasks, two slots, and a queue that a list stands for."""

    STEPS = ("deliver", "end", "die", "sweep", "pause", "wake")

    def __init__(self, ledger: Ledger, reader: LedgerReader, queue: list[Envelope]) -> None:
        self.ledger, self.reader, self.queue = ledger, reader, queue
        self.running: list[Claimed] = []
        self.now, self.paused = NOW, False

    async def deliver(self, data: st.DataObject) -> None:
        if not self.queue:
            return
        envelope = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        await self._claim(envelope)

    async def _claim(self, envelope: Envelope) -> None:
        answer = await self.ledger.claim(asks(envelope, TWO, now=self.now))
        if isinstance(answer, Claimed):
            self.running.append(answer)
        else:
            assert isinstance(answer, NotClaimed)

    async def end(self, data: st.DataObject) -> None:
        if self.running:
            index = data.draw(st.integers(0, len(self.running) - 1))
            await self._record(self.running.pop(index))

    async def _record(self, claim: Claimed) -> None:
        from fleet.ledger.errors import StaleEpoch

        record = a_record(claim, slots=(TWO.key,), now=self.now)
        try:
            recorded = await self.ledger.record(record)
        except StaleEpoch:
            return
        self.queue += [row.envelope for row in recorded.outbox]
        await self.ledger.mark_relayed([row.seq for row in recorded.outbox], self.now)

    async def die(self, data: st.DataObject) -> None:
        if self.running:
            self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    async def sweep(self, data: st.DataObject) -> None:
        self.now += timedelta(seconds=31)
        await self.ledger.sweep(self.now)
        self.queue += await promised(self.ledger)

    async def pause(self, data: st.DataObject) -> None:
        await self.ledger.pause(a_pause(resume=self.paused, now=self.now))
        self.paused = not self.paused

    async def wake(self, data: st.DataObject) -> None:
        if keys := await self.ledger.wakeable(self.now):
            await self.ledger.wake(keys, self.now)
        self.queue += await promised(self.ledger)

    def check(self) -> None:
        for row in self.reader.slots():
            assert row.held <= 2

    async def to_the_end(self) -> None:
        """No more deaths: everything that was asked for ends well, or spent its attempts dying."""
        if self.paused:
            await self.pause(None)  # type: ignore[arg-type]  # draws nothing
        while self.reader.runs()[0].state is State.RUNNING:
            for claim in list(self.running):
                self.running.remove(claim)
                await self._record(claim)
            await self.sweep(None)  # type: ignore[arg-type]
            await self.wake(None)  # type: ignore[arg-type]
            for envelope in self.queue[:]:
                self.queue.remove(envelope)
                await self._claim(envelope)
            self.check()
        (run,) = self.reader.runs()
        assert run.state in {State.SUCCEEDED, State.FAILED}
        assert all(row.held == 0 and row.waiting == 0 for row in self.reader.slots())
