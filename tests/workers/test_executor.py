"""The life of one delivery: what is recorded, what follows, and how the delivery is settled."""

import asyncio
import errno
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.artifact import Tier
from contracts.envelope import WireMessage
from contracts.lane import Mode
from contracts.outcome import FaultKind, Output, Produced
from contracts.states import State
from fleet.bus.errors import SettleFailed
from fleet.bus.message import Outgoing
from policies.gate import PolicyGate
from tests.workers.conftest import PATIENCE, RUN, Fleet, a_stage, writes_a_file
from workers.executor import work
from workers.leases import End
from workers.stages.handler import StageFault, Workbench


def _counts(fleet: Fleet) -> tuple[int, int, int]:
    counts = fleet.broker.counts("lane-test")
    return counts["active"], counts["scheduled"], counts["dead_letter"]


async def test_a_delivery_leaves_everything_behind(fleet: Fleet) -> None:
    """Status, attempt, decisions, output with provenance, trace, and the next task on its queue."""
    await fleet.start()

    await fleet.deliver()

    task = fleet.task("first")
    assert task.state is State.SUCCEEDED
    assert [event.new for event in task.history][-2:] == [State.RUNNING, State.SUCCEEDED]
    assert [recorded.decision.gate for recorded in task.decisions] == ["execute", "publish"]
    assert all(recorded.decision.reasons for recorded in task.decisions)
    (output,) = task.outputs
    assert fleet.site.store.read(output) == b"hello"
    assert output.provenance is not None
    assert (output.provenance.run, output.provenance.stage) == (RUN, "first")
    assert task.facts == {"letters": 5}
    assert fleet.task("second").state is State.QUEUED
    assert _counts(fleet) == (1, 0, 0)
    assert not list(fleet.site.scratch.iterdir())


async def test_a_run_ends_when_its_last_task_does(fleet: Fleet) -> None:
    """The second stage reads what the first made, in the same trace."""
    await fleet.start()
    read: list[bytes] = []

    def reads(bench: Workbench) -> Produced:
        read.extend(file.path.read_bytes() for files in bench.inputs.values() for file in files)
        produced = writes_a_file(bench)
        assert isinstance(produced, Produced)
        return produced

    fleet.handle(reads)
    await fleet.deliver()
    await fleet.deliver()

    assert read == [b"hello"]
    assert fleet.reader.run(RUN).state is State.SUCCEEDED
    first, second = (s for s in fleet.spans.get_finished_spans() if s.name.startswith("process"))
    assert second.context.trace_id == first.context.trace_id
    assert second.parent is not None
    assert second.parent.span_id == first.context.span_id


async def test_a_duplicate_of_a_closed_attempt_is_completed_unrun(fleet: Fleet) -> None:
    """The broker delivers again after the settlement was lost."""
    await fleet.start(a_stage("only"))
    ran: list[str] = []

    def counts(bench: Workbench) -> Produced:
        ran.append(bench.scratch.name)
        return Produced()

    fleet.handle(counts)

    async def twice(delivery: Any) -> None:
        await work(_Unsettled(delivery), fleet.lane, fleet.site)  # type: ignore[arg-type]  # same face
        await work(delivery, fleet.lane, fleet.site)

    await fleet.deliver(twice)

    assert len(ran) == 1
    assert _counts(fleet) == (0, 0, 0)
    assert len(fleet.task("only").attempts) == 1


class _Unsettled:
    """A delivery whose settlement never reaches the broker."""

    def __init__(self, delivery: Any) -> None:
        self.message, self.queue, self.count = delivery.message, delivery.queue, delivery.count
        self.sequence_number = delivery.sequence_number

    async def complete(self) -> None:
        """Lost on the way."""

    abandon = renew = complete


async def test_a_transient_fault_is_tried_again_later(fleet: Fleet) -> None:
    """As a scheduled message of the next attempt; when that fails too, the task is dead."""
    await fleet.start()

    def fails(bench: Workbench) -> Produced:
        raise StageFault(FaultKind.TRANSIENT, "source.unreachable", "the source did not answer")

    fleet.handle(fails)
    await fleet.deliver()

    task = fleet.task("first")
    assert (task.state, task.attempt) == (State.RETRYING, 2)
    assert _counts(fleet) == (0, 1, 0)
    await fleet.clock.advance(60)
    await fleet.deliver()
    assert fleet.task("first").state is State.DEAD
    assert fleet.task("second").state is State.CANCELLED
    assert fleet.reader.run(RUN).state is State.FAILED
    assert [a.fault.code for a in fleet.task("first").attempts if a.fault] == [
        "source.unreachable",
        "source.unreachable",
    ]


async def test_a_broken_rule_fails_the_run_with_its_evidence(fleet: Fleet) -> None:
    """Evidence is stored, nothing else is, and nothing is tried again."""
    await fleet.start()

    def breaks(bench: Workbench) -> Any:
        from contracts.outcome import Failed, Fault

        path = bench.scratch / "bad.csv"
        path.write_text("row,why\n1,no date\n")
        fault = Fault(kind=FaultKind.BAD_INPUT, code="rule.broken", message="dates are missing")
        evidence = Output(name="bad.csv", path=path, media_type="text/csv", tier=Tier.EVIDENCE)
        return Failed(fault=fault, evidence=(evidence,))

    fleet.handle(breaks)
    await fleet.deliver()

    task = fleet.task("first")
    assert task.state is State.FAILED
    assert [pointer.name for pointer in task.outputs] == ["bad.csv"]
    assert fleet.reader.run(RUN).state is State.FAILED
    assert _counts(fleet) == (0, 0, 0)


async def test_an_output_with_a_secret_does_not_leave(fleet: Fleet) -> None:
    """The publish gate denies the attempt and nothing of it is stored."""
    await fleet.start(a_stage("only"))

    def leaks(bench: Workbench) -> Produced:
        path = bench.scratch / "page.json"
        path.write_text(
            '{"link": "https://x.blob.core.windows.net/c/b?sv=2024-01-01&sig=AbCdEf1%2F2"}'
        )
        kind = "application/json"
        output = Output(name="page.json", path=path, media_type=kind, tier=Tier.PRESENTED)
        return Produced(outputs=(output,))

    fleet.handle(leaks)
    await fleet.deliver()

    task = fleet.task("only")
    assert task.state is State.DENIED
    assert task.outputs == ()
    assert not any(fleet.site.store.has(Tier.PRESENTED, d) for d in _stored(fleet, "presented"))
    assert task.fault is not None
    assert task.fault.code == "denied.publish"


async def test_a_worker_with_older_rules_gives_the_task_back(fleet: Fleet) -> None:
    """What newer rules admitted is not decided by older ones: no attempt is spent."""
    gate = fleet.site.gate
    newer = PolicyGate(gate.bundle, generation=gate.generation + 1)
    older, fleet.site = fleet.site, replace(fleet.site, gate=newer)
    await fleet.start(a_stage("only"))

    fleet.site = replace(older, rules_patience=0)
    await fleet.deliver()
    behind = fleet.task("only")
    fleet.site = replace(older, gate=newer)
    await fleet.deliver()

    assert (behind.state, behind.attempt, behind.decisions) == (State.QUEUED, 1, ())
    assert (fleet.task("only").state, fleet.task("only").attempt) == (State.SUCCEEDED, 1)


def _stored(fleet: Fleet, tier: str) -> list[str]:
    root = fleet.site.scratch.parent / "artifacts" / tier
    return [path.name for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_handler_runs_where_its_lane_says(fleet: Fleet, mode: Mode) -> None:
    """On the loop, in a thread, in another process: the record is the same."""
    await fleet.start(a_stage("only", word="mode"))
    handler = _writes_async if mode is Mode.ASYNC else writes_a_file

    fleet.handle(handler, mode)
    await fleet.deliver()

    assert fleet.site.store.read(fleet.task("only").outputs[0]) == b"mode"


async def _writes_async(bench: Workbench) -> Any:
    return writes_a_file(bench)


async def test_a_handler_past_its_time_is_told_to_end(fleet: Fleet) -> None:
    """The attempt counts as timed out and is tried again by the retry rules."""
    await fleet.start(a_stage("only"))
    ended = threading.Event()

    def waits(bench: Workbench) -> Produced:
        while not bench.signals.cancelled():
            ended.wait(0.01)
        ended.set()
        raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")

    fleet.handle(waits)
    fleet.lane = fleet.lane.model_copy(update={"timeout": 0.2})
    await fleet.deliver()

    assert ended.is_set()
    task = fleet.task("only")
    assert task.state is State.RETRYING
    assert task.attempts[0].fault is not None
    assert task.attempts[0].fault.code == "handler.timed_out"


async def test_a_stopping_worker_releases_its_task_at_no_cost(fleet: Fleet) -> None:
    """The same attempt is on the queue again for another worker."""
    await fleet.start(a_stage("only"))
    started = threading.Event()

    def waits(bench: Workbench) -> Produced:
        started.set()
        while not bench.signals.cancelled():
            threading.Event().wait(0.01)
        raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")

    async def stopped(delivery: Any) -> None:
        working = asyncio.create_task(work(delivery, fleet.lane, fleet.site))
        await asyncio.to_thread(started.wait, PATIENCE)
        fleet.site.leases.end_all(End.STOPPING)
        await working

    fleet.handle(waits)
    await fleet.deliver(stopped)
    released = fleet.task("only")
    fleet.handle(writes_a_file)
    await fleet.deliver()

    assert (released.state, released.attempt) == (State.QUEUED, 1)
    assert (fleet.task("only").state, fleet.task("only").attempt) == (State.SUCCEEDED, 1)


class _LostLock(_Unsettled):
    """A delivery whose lock was lost while its handler ran."""

    async def abandon(self) -> None:
        raise SettleFailed("the lock is lost")


async def test_a_task_released_without_its_lock_is_queued_at_once(fleet: Fleet) -> None:
    """Its message may have been declined by others meanwhile: another is sent, and no attempt is
    spent, though the lane allows two."""
    await fleet.start(a_stage("only"))
    started = threading.Event()

    def waits(bench: Workbench) -> Produced:
        started.set()
        while not bench.signals.cancelled():
            threading.Event().wait(0.01)
        raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")

    async def stopped(delivery: Any) -> None:
        lost: Any = _LostLock(delivery)
        working = asyncio.create_task(work(lost, fleet.lane, fleet.site))
        await asyncio.to_thread(started.wait, PATIENCE)
        fleet.site.leases.end_all(End.STOPPING)
        await working
        await delivery.complete()

    def fails(bench: Workbench) -> Produced:
        raise StageFault(FaultKind.TRANSIENT, "source.away", "the source did not answer")

    fleet.handle(waits)
    await fleet.deliver(stopped)
    released = fleet.task("only")
    fleet.handle(fails)
    await fleet.deliver()
    failed = fleet.task("only")

    assert (released.state, released.attempt, released.max_attempts) == (State.QUEUED, 2, 3)
    assert (failed.state, failed.attempt) == (State.RETRYING, 3)


async def test_a_cancelled_run_ends_its_running_task(fleet: Fleet) -> None:
    """The next renewal brings the word."""
    await fleet.start()
    started = threading.Event()

    def waits(bench: Workbench) -> Produced:
        started.set()
        while not bench.signals.cancelled():
            threading.Event().wait(0.01)
        raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")

    async def cancelled(delivery: Any) -> None:
        working = asyncio.create_task(work(delivery, fleet.lane, fleet.site))
        await asyncio.to_thread(started.wait, PATIENCE)
        await fleet.site.ledger.cancel_run(RUN, "ada", "not needed", fleet.clock.now())
        await fleet.site.leases.renew()
        await working

    fleet.handle(waits)
    await fleet.deliver(cancelled)

    assert fleet.task("first").state is State.CANCELLED
    assert fleet.reader.run(RUN).state is State.CANCELLED


class _Forged(_Unsettled):
    """A delivery whose sender knows a task's id, and says something else of it."""

    def __init__(self, delivery: Any) -> None:
        super().__init__(delivery)
        self.message = delivery.message.model_copy(update={"body": b'{"payload":{"word":"no"}}'})
        self.refused: list[str] = []

    async def dead_letter(self, reason: str, description: str) -> None:
        self.refused.append(reason)


async def test_a_forged_envelope_of_a_promised_task_is_refused(fleet: Fleet) -> None:
    """It is set aside with the reason; the task runs as it was promised."""
    await fleet.start(a_stage("only"))
    refused: list[str] = []

    async def forged_first(delivery: Any) -> None:
        forged = _Forged(delivery)
        await work(forged, fleet.lane, fleet.site)  # type: ignore[arg-type]  # same face
        refused.extend(forged.refused)
        await work(delivery, fleet.lane, fleet.site)

    fleet.handle(writes_a_file)
    await fleet.deliver(forged_first)

    assert refused == ["not as promised"]
    (letter,) = fleet.reader.dead_letters()
    assert letter.reason == "not as promised"
    (output,) = fleet.task("only").outputs
    assert fleet.site.store.read(output) == b"hello"


async def test_a_stale_worker_records_nothing(fleet: Fleet) -> None:
    """Its lease ran out and the sweeper promised the task again: the epoch refuses its record."""
    await fleet.start(a_stage("only"))

    def overtaken(bench: Workbench) -> Any:
        asyncio.run_coroutine_threadsafe(lapse(), loop).result(PATIENCE)
        return writes_a_file(bench)

    async def lapse() -> None:
        await fleet.clock.advance(3600)
        await fleet.site.ledger.sweep(fleet.clock.now())

    loop = asyncio.get_running_loop()
    fleet.handle(overtaken)
    await fleet.deliver()

    task = fleet.task("only")
    assert (task.state, task.attempt) == (State.QUEUED, 2)
    assert task.outputs == ()
    fleet.handle(writes_a_file)
    await fleet.relay()
    await fleet.deliver()  # the old attempt's message, whose lock lapsed too: declined
    await fleet.deliver()
    assert fleet.task("only").state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, "specversion"),
        ({"cloudEvents:specversion": "1.0", "cloudEvents:type": "x"}, "cloudEvents:type"),
        (
            {"cloudEvents:specversion": "1.0", "cloudEvents:type": "leaf.task.a.v1"},
            "cloudEvents:id",
        ),
    ],
)
async def test_a_malformed_message_is_dead_lettered_and_noted(
    fleet: Fleet, properties: dict[str, str | int | bool], reason: str
) -> None:
    """The operator sees the reason; the worker goes on."""
    message = WireMessage(message_id="m1", properties=properties, body=b"{}")

    await fleet.site.bus.publish("lane-test", [Outgoing(message=message)])
    await fleet.deliver()

    (row,) = fleet.reader.dead_letters()
    assert (row.what, row.state, row.reason) == ("message", "dead", "malformed")
    assert reason in row.description
    assert _counts(fleet) == (0, 0, 1)


async def test_an_unknown_kind_is_parked_for_newer_workers(fleet: Fleet) -> None:
    """A planned task whose handler this worker does not have."""
    await fleet.start(a_stage("only"))
    fleet.site = replace(fleet.site, handlers={})

    await fleet.deliver()

    assert fleet.task("only").state is State.PARKED
    assert _counts(fleet) == (0, 0, 0)


async def test_a_parked_message_says_which_kind_it_waits_for(fleet: Fleet) -> None:
    """Of no task that is known, and no kind: deferred, until a worker says that it knows it."""
    await fleet.start(a_stage("only"))
    sound = fleet.site

    async def forges(delivery: Any) -> None:
        properties = delivery.message.properties | {"cloudEvents:id": "forged:1"}
        forged = delivery.message.model_copy(
            update={"properties": properties, "message_id": "forged"}
        )
        await delivery.complete()
        await fleet.site.bus.publish("lane-test", [Outgoing(message=forged)])

    await fleet.deliver(forges)
    fleet.site = replace(sound, handlers={})
    await fleet.deliver()

    now = sound.clock.now()
    unknown = await sound.ledger.parked_messages(10)
    await sound.ledger.worker_seen("new", ["test"], now, {"kinds": ["test.step.v1"]})
    (known,) = await sound.ledger.parked_messages(10)
    assert unknown == []
    assert (known.queue, known.kind, known.version) == ("lane-test", "test.step", 1)


async def test_a_task_that_nobody_planned_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    """A well-formed envelope of a task that the ledger does not know."""
    await fleet.start(a_stage("only"))

    async def forges(delivery: Any) -> None:
        properties = delivery.message.properties | {"cloudEvents:id": "forged:1"}
        forged = delivery.message.model_copy(
            update={"properties": properties, "message_id": "forged"}
        )
        await delivery.complete()
        await fleet.site.bus.publish("lane-test", [Outgoing(message=forged)])

    await fleet.deliver(forges)
    await fleet.deliver()

    (row,) = fleet.reader.dead_letters()
    assert row.reason == "unknown task"
    assert _counts(fleet) == (0, 0, 1)


class _FullDisk:
    """An artifact store on a disk that has no room left."""

    def __getattr__(self, name: str) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_fails_the_attempt_and_not_the_worker(fleet: Fleet) -> None:
    """It is tried again, here or where there is room; what the operator reads names no path."""
    await fleet.start(a_stage("only"))
    full: Any = _FullDisk()
    sound = fleet.site

    fleet.site = replace(sound, store=full)
    await fleet.deliver()
    task = fleet.task("only")
    fleet.site = sound
    await fleet.clock.advance(60)
    await fleet.deliver()

    assert task.state is State.RETRYING
    assert task.attempts[0].fault is not None
    assert task.attempts[0].fault.code == "worker.disk_failed"
    assert "No space left" in task.attempts[0].fault.message
    assert fleet.task("only").state is State.SUCCEEDED


async def test_an_output_that_is_no_file_fails_the_task(fleet: Fleet) -> None:
    """A handler that names a link or a folder is at fault: trying again cannot help."""
    await fleet.start(a_stage("only"))

    def links(bench: Workbench) -> Produced:
        (bench.scratch / "out").symlink_to("/etc/hostname")
        path = bench.scratch / "out"
        return Produced(
            outputs=(Output(name="out", path=path, media_type="text/plain", tier=Tier.SILVER),)
        )

    fleet.handle(links)
    await fleet.deliver()

    task = fleet.task("only")
    assert task.state is State.FAILED
    assert task.fault is not None
    assert task.fault.code == "output.refused"


async def test_a_record_that_the_ledger_refuses_fails_the_task(fleet: Fleet) -> None:
    """A handler that discovers the same partition twice would do so every time."""
    await fleet.start(
        a_stage("only"),
        a_stage("each", "only").model_copy(update={"discovered_by": "only"}),
    )

    def twice(bench: Workbench) -> Produced:
        return Produced(partitions=("a", "a"))

    fleet.handle(twice)
    await fleet.deliver()

    task = fleet.task("only")
    assert task.state is State.FAILED
    assert task.fault is not None
    assert task.fault.code == "record.refused"
    assert fleet.reader.run(RUN).state is State.FAILED
    assert _counts(fleet) == (0, 0, 0)


async def test_a_lease_lost_with_nobody_else_at_it_gives_the_task_back(fleet: Fleet) -> None:
    """A ledger that was away for longer than the lease cancels nothing and costs no attempt."""
    await fleet.start(a_stage("only"))
    started = threading.Event()

    def waits(bench: Workbench) -> Produced:
        started.set()
        while not bench.signals.cancelled():
            threading.Event().wait(0.01)
        raise StageFault(FaultKind.CANCELLED, "cancelled", "told to end")

    async def lost(delivery: Any) -> None:
        working = asyncio.create_task(work(delivery, fleet.lane, fleet.site))
        await asyncio.to_thread(started.wait, PATIENCE)
        fleet.site.leases.end_all(End.LOST)
        await working

    fleet.handle(waits)
    await fleet.deliver(lost)

    assert (fleet.task("only").state, fleet.task("only").attempt) == (State.QUEUED, 1)
    assert fleet.reader.run(RUN).state is State.RUNNING


async def test_no_handler_runs_past_the_deadline_of_its_run(fleet: Fleet) -> None:
    """Its time ends with the run's, however long its lane would allow."""
    await fleet.start(a_stage("only"))
    ran: list[str] = []

    def counts(bench: Workbench) -> Produced:
        ran.append(bench.scratch.name)
        return Produced()

    async def late(delivery: Any) -> None:
        class Tomorrow:
            def now(self) -> Any:
                return fleet.clock.now() + timedelta(days=2)

        await work(delivery, fleet.lane, replace(fleet.site, clock=Tomorrow()))

    fleet.handle(counts)
    await fleet.deliver(late)
    await fleet.site.ledger.sweep(fleet.clock.now() + timedelta(days=2))

    task = fleet.task("only")
    assert ran == []
    assert task.state is State.DEAD
    assert task.fault is not None
    assert task.fault.code == "deadline.passed"
