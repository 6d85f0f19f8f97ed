"""A worker process at work: its lanes, its leases, its heartbeat; and how it stops.

To stop: receive no more; let running attempts end within the grace period, keeping their leases;
tell the rest to end, which releases their tasks at no cost; settle; relay; close. Nothing is lost
by stopping harder: that is what leases are for.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from contracts.envelope import Envelope
from contracts.fact import JsonObject
from contracts.lane import Lane
from fleet.bus.receiver import Delivery, Room
from fleet.clock import Clock
from fleet.errors import FleetError
from fleet.ledger.errors import LedgerBusy, LedgerError
from fleet.ledger.take_up import a_kind
from fleet.telemetry.redact import redacted
from workers.executor import work
from workers.flow import Flow, TakenAhead
from workers.health import Watch
from workers.leases import End
from workers.site import Site

_log = logging.getLogger(__name__)

Beside = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

_HEARTBEAT = 5.0
"""Seconds between two words that this worker is alive."""
_LOOK = 1.0
"""Seconds between two looks whether it is idle."""


async def serve(
    site: Site,
    lanes: Sequence[Lane],
    stop: asyncio.Event,
    grace: float,
    *,
    watch: Watch | None = None,
    health_file: Path | None = None,
    until_idle: float | None = None,
    heartbeat: float = _HEARTBEAT,
    beside: Sequence[Beside] = (),
    number: int | None = None,
    flow: Flow | None = None,
) -> None:
    """Work on `lanes` until `stop`, then end within `grace` seconds and a little.

    `stop` is also set once somebody asks the ledger to drain this worker.

    `watch` is told what the lanes take, and says in `health_file` how they are. With `until_idle`,
    `stop` is set once nothing was in hand and nothing came for so many seconds. What is `beside`
    runs until the event that it is given. With `number`, only that deferred message is worked.
    Without `flow` nothing is taken ahead of a queue, and a pause shows in claims that are put off
    alone.
    """
    done = asyncio.Event()
    async with site.relays.kept(), asyncio.TaskGroup() as upkeep:
        upkeep.create_task(site.leases.keep(min(lane.lease for lane in lanes) / 3, done))
        upkeep.create_task(_heartbeat(site, lanes, stop, done, heartbeat))
        upkeep.create_task(_end_after_grace(site, stop, done, grace))
        if watch is not None and health_file is not None:
            upkeep.create_task(watch.keep(health_file, done))
        if watch is not None and until_idle is not None:
            upkeep.create_task(_stop_when_idle(watch, site.clock, until_idle, stop, done))
        for each in beside:
            upkeep.create_task(each(done))
        try:
            async with asyncio.TaskGroup() as working:
                for lane in lanes:
                    working.create_task(
                        serve_lane(lane, site, stop, watch, number=number, flow=flow),
                        name=f"lane {lane.name}",
                    )
                if flow is not None:
                    upkeep.create_task(flow.keep(done))
        finally:
            done.set()


async def serve_lane(
    lane: Lane,
    site: Site,
    stop: asyncio.Event,
    watch: Watch | None = None,
    *,
    number: int | None = None,
    flow: Flow | None = None,
) -> None:
    """Take deliveries of one lane, as many at a time as the lane allows; or one, by its number."""
    room = Room(lane.concurrency) if flow is None else flow.room(lane)
    taken = (
        [site.bus.deliveries(lane.queue, room, stop, second=second) for second in (False, True)]
        if number is None
        else [site.bus.deferred(lane.queue, number, room, stop)]
    )
    async with asyncio.TaskGroup() as attempts:

        def begin(delivery: Delivery) -> asyncio.Task[None]:
            if watch is not None:
                watch.took(lane.name)
            carried = _one(delivery, lane, site, room, watch=watch, flow=flow, stop=stop)
            return attempts.create_task(carried)

        async def begin_all(deliveries: AsyncIterator[Delivery]) -> None:
            async for delivery in deliveries:
                begin(delivery)

        ahead = None
        if flow is not None and number is None:
            wanted = flow.ahead(lane.name)
            taking = _take_ahead(lane, site, room, begin, wanted=wanted, stop=stop)
            ahead = attempts.create_task(taking)
        try:
            async with asyncio.TaskGroup() as receiving:
                for each in taken:
                    receiving.create_task(begin_all(each))
        finally:
            if ahead is not None:
                ahead.cancel()


async def _take_ahead(
    lane: Lane,
    site: Site,
    room: Room,
    begin: Callable[[Delivery], asyncio.Task[None]],
    *,
    wanted: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Take what goes ahead of the lane's queue, a task for each place that comes free."""
    taking: dict[str, asyncio.Task[None]] = {}
    while not stop.is_set():
        await wanted.wait()
        await room.take_first()
        # Those that it takes already may still stand as queued, for the moment of their claims.
        taking = {task: one for task, one in taking.items() if not one.done()}
        found: list[Envelope] = []
        try:
            found = await site.ledger.ahead(lane.name, site.clock.now(), 1 + len(taking))
            found = [one for one in found if one.task not in taking and not stop.is_set()][:1]
        except (FleetError, SQLAlchemyError, OSError) as cause:
            _log.warning("%s: what goes ahead is not known: %s", lane.name, cause)
        finally:
            if not found:
                wanted.clear()  # until the next look
                room.give_back()
        for envelope in found:
            taking[envelope.task] = begin(TakenAhead(envelope, lane.queue))


async def _one(
    delivery: Delivery,
    lane: Lane,
    site: Site,
    room: Room,
    *,
    watch: Watch | None,
    flow: Flow | None,
    stop: asyncio.Event,
) -> None:
    try:
        # What was taken ahead has no message that a pod could be given.
        ahead = isinstance(delivery, TakenAhead)
        if site.apart is not None and not ahead and await site.apart.took(delivery, lane):
            return
        declined = await work(delivery, lane, site)
        if flow is not None and declined == "paused":
            flow.look_now()
    except (FleetError, SQLAlchemyError, OSError) as cause:
        if flow is not None and isinstance(cause, LedgerBusy | SQLAlchemyError):
            flow.ledger_away()
        # The ledger, the bus or the disk is away. Unsettled, the delivery comes back when its lock
        # lapses; claimed, the task comes back when its lease does. The other attempts go on.
        _log.error("%s: delivery %s: %s", lane.name, delivery.message.message_id[:128], cause)
    finally:
        if watch is not None:
            watch.finished(lane.name)
        room.give_back()
        if (left := site.runner.left_by(delivery)) is not None:
            _left_behind(left, lane, site, room, stop)


def _left_behind(
    handler: "asyncio.Future[Any]", lane: Lane, site: Site, room: Room, stop: asyncio.Event
) -> None:
    """Its place stays taken while it runs on: it still has its memory, and maybe a core.

    A worker that has lost half of a lane's places this way ends, and its supervisor starts it anew:
    nothing else takes such a thread away.
    """
    room.shrink()
    handler.add_done_callback(lambda _: room.grow())
    if room.places <= lane.concurrency // 2 and not stop.is_set():
        _log.error(
            "%s ends, to be started again: %d of %d places of lane %s are lost to handlers that do"
            " not end; they belong in mode 'process'",
            site.worker,
            lane.concurrency - room.places,
            lane.concurrency,
            lane.name,
        )
        stop.set()


async def _heartbeat(
    site: Site, lanes: Sequence[Lane], stop: asyncio.Event, done: asyncio.Event, every: float
) -> None:
    """Say that this worker is alive; stop, where the answer is that somebody drains it."""
    names = [lane.name for lane in lanes]
    kinds = sorted(a_kind(kind, version) for kind, version in site.handlers)
    while not done.is_set():
        facts = {
            "kinds": kinds,
            "running": [
                {"task": lease.claimed.task, **lease.progress} for lease in site.leases.held
            ],
            "left_behind": site.runner.left_behind,
            "policy": await rules_seen(site),
        }
        try:
            drain = await site.ledger.worker_seen(site.worker, names, site.clock.now(), facts)
            if drain and not stop.is_set():
                _log.info("%s is drained: it receives no more", site.worker)
                stop.set()
        except (LedgerError, SQLAlchemyError) as cause:
            _log.warning("no heartbeat: %s", cause)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), every)


async def _stop_when_idle(
    watch: Watch, clock: Clock, seconds: float, stop: asyncio.Event, done: asyncio.Event
) -> None:
    """A message that comes at the last moment is handed back: others may have it at once."""
    while not done.is_set() and not stop.is_set():
        since = watch.idle_since
        if since is not None and clock.now() - since >= timedelta(seconds=seconds):
            _log.info("nothing came for %.0f s: done", seconds)
            stop.set()
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), min(seconds, _LOOK))


async def rules_seen(site: Site) -> JsonObject:
    """Look for changed rules; which are in force, and what is wrong with those that are not."""
    await asyncio.to_thread(site.gate.refresh)
    return {
        "generation": site.gate.generation,
        "bundle": site.gate.bundle.digest[:12],
        "refused": [redacted(fault) for fault in site.gate.refused[:5]],
    }


async def _end_after_grace(
    site: Site, stop: asyncio.Event, done: asyncio.Event, grace: float
) -> None:
    """After `stop`, give running attempts their grace, then tell them to end."""
    either = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(done.wait())}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    for future in either:
        future.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(done.wait(), grace)
    site.leases.end_all(End.STOPPING)
