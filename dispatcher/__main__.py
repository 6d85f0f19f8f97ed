"""The dispatcher's process: `python -m dispatcher`. The only place here that builds real adapters.

Intake over HTTP and from the queue, the outbox relay, the sweeper, the redriver and the admission
of held runs live in one task group. A signal only sets an event; then each part finishes what it
has at hand, and what was opened closes.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from dispatcher.access import Access
from dispatcher.admissions import Admissions
from dispatcher.empty_queues import EmptyQueues
from dispatcher.flow import FlowControl
from dispatcher.http import HttpSite, create_app
from dispatcher.intake import Intake
from dispatcher.intake_queue import IntakeQueue
from dispatcher.pipeline_folder import PipelineFolders
from dispatcher.quarantine import Quarantine
from dispatcher.redriver import Redriver
from dispatcher.redrives import Redrives
from dispatcher.relay import OutboxRelay
from dispatcher.resend import Resender
from dispatcher.retention import Retention
from dispatcher.rules import RULES_EVERY, refreshed
from dispatcher.scheduler import Scheduler
from dispatcher.schedules import Schedules
from dispatcher.supervised import Supervised
from dispatcher.sweeper import Sweeper
from dispatcher.waker import Waker
from fleet.access.access_file import load_access
from fleet.access.loopback import LoopbackTrust
from fleet.access.source import IdentitySource
from fleet.access.tokens import TokenSource
from fleet.archiving import Archiver
from fleet.artifacts.opened import open_store
from fleet.artifacts.upkeep import tidied
from fleet.bus.bus import INTAKE_QUEUE, open_bus
from fleet.clock import SystemClock
from fleet.errors import FleetError
from fleet.http_server import HttpServer
from fleet.lanes import load_lanes
from fleet.ledger.browse import LedgerBrowser
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.loop import run
from fleet.ready import write_ready
from fleet.registry import payload_registry
from fleet.settings import Settings, load_settings
from fleet.telemetry.logs import start_logging
from fleet.telemetry.measures import measure_lanes, measure_rules
from fleet.telemetry.output import redact_output
from fleet.telemetry.telemetry import start_telemetry
from policies.bundle import BundleRefused
from policies.live import LiveGate

_EXAMPLES = """\
examples:
  FLEET_BUS_CONNECTION='Endpoint=sb://...' python -m dispatcher
  FLEET_HTTP_PORT=0 python -m dispatcher --ready-file ready.json   # any free port, told in the file

Settings come from FLEET_* variables (docs/reference/settings.md). SIGTERM or Ctrl-C stops it once
the requests at hand are answered; a second signal changes nothing.
"""
_TIDY_EVERY = 3600.0
"""Seconds."""
_log = logging.getLogger("dispatcher")


async def dispatch(settings: Settings, stop: asyncio.Event, ready_file: Path | None) -> None:
    """Dispatch until `stop` is set."""
    clock, lanes, registry = SystemClock(), load_lanes(settings.lanes_file), payload_registry()
    gate = LiveGate(settings.rules, lanes)
    store = open_store(settings.artifacts_address, settings.artifacts_folder)
    pipelines = PipelineFolders(settings.pipelines, registry)
    async with contextlib.AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(
            await Ledger.open(settings.ledger_address, apart=True)
        )
        telemetry = opened.enter_context(start_telemetry("dispatcher", ledger, settings.metrics_at))
        tracer = telemetry.tracer
        reader = opened.enter_context(LedgerReader(settings.ledger_reading_address))
        measure_lanes(telemetry.meter, reader.lanes, clock.now)
        measure_rules(telemetry.meter, lambda: gate.generation, lambda: gate.refused)
        browser = opened.enter_context(LedgerBrowser(settings.ledger_reading_address))
        bus = await opened.enter_async_context(
            open_bus(settings.bus_address, store, telemetry.send_tracer)
        )
        relay = OutboxRelay(ledger, bus, clock, settings.relay_every)
        sweeper = Sweeper(ledger, clock, settings.sweep_every)
        intake = Intake(
            pipelines=pipelines,
            registry=registry,
            lanes=lanes,
            gate=gate,
            store=store,
            ledger=ledger,
            reader=reader,
            hurry=relay.hurry,
            clock=clock,
            chance=os.urandom,
        )
        admissions = Admissions(
            ledger=ledger, gate=gate, registry=registry, clock=clock, hurry=relay.hurry
        )
        resender = Resender(ledger=ledger, bus=bus, clock=clock, chance=os.urandom)
        redriver = Redriver(ledger, bus, clock, resender)
        redrives = Redrives(
            ledger=ledger,
            reader=reader,
            registry=registry,
            clock=clock,
            chance=os.urandom,
            wake=redriver.loop.wake,
            hurry=relay.hurry,
        )
        upkeep = Supervised("upkeep", partial(tidied, store, clock), _TIDY_EVERY)
        rules = Supervised("rules", partial(refreshed, gate), RULES_EVERY)
        quarantine = Quarantine(ledger, bus, clock, [INTAKE_QUEUE, *(lane.queue for lane in lanes)])
        retention = Retention(
            Archiver(ledger, store, clock, "retention"), clock, timedelta(days=settings.keep_days)
        )
        waker = Waker(ledger, bus, clock)
        empty = EmptyQueues(ledger, reader, bus, clock, lanes)
        scheduler = Scheduler(intake, ledger, clock)
        loops = (
            relay.loop,
            sweeper.loop,
            rules,
            upkeep,
            redriver.loop,
            admissions.loop,
            retention.loop,
            waker.loop,
            empty.loop,
            scheduler.loop,
        )
        flow = FlowControl(
            ledger=ledger,
            reader=reader,
            lanes=lanes,
            pipelines=pipelines,
            clock=clock,
            wake=partial(_wake, waker.loop, relay.loop),
        )
        site = HttpSite(
            intake=intake,
            flow=flow,
            schedules=Schedules(intake=intake, ledger=ledger, reader=reader, clock=clock),
            redrives=redrives,
            resender=resender,
            pipelines=pipelines,
            reader=reader,
            browser=browser,
            tracer=tracer,
            access=Access(identities=_identities(settings), clock=clock),
            loops=loops,
        )
        server = HttpServer(create_app(site), settings.http_host, settings.http_port)
        queue = IntakeQueue(intake=intake, bus=bus, ledger=ledger, clock=clock, tracer=tracer)
        async with asyncio.TaskGroup() as group:
            for part in (server, queue, quarantine.loop, *loops):
                group.create_task(part.run(stop))
            await server.listening.wait()
            if ready_file is not None:
                write_ready(ready_file, http_port=server.port)
            _log.info("listening on %s port %d", settings.http_host, server.port)
    _log.info("stopped")


def _identities(settings: Settings) -> IdentitySource:
    """Raises AccessFileRefused."""
    if settings.access_file is None:
        return LoopbackTrust()
    return TokenSource(load_access(settings.access_file))


def _wake(*loops: Supervised) -> None:
    for loop in loops:
        loop.wake()


async def _until_signalled(settings: Settings, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await dispatch(settings, stop, ready_file)


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dispatcher",
        description="The way in: takes requests over HTTP and from the intake queue, plans runs, "
        "relays what was promised, and sweeps up what was left.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on (FLEET_HTTP_HOST)")
    parser.add_argument("--port", type=int, help="port; 0 takes a free one (FLEET_HTTP_PORT)")
    parser.add_argument(
        "--ready-file", type=Path, help="written once it listens: JSON with http_port and pid"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when it was told to stop, 2 when it cannot start as it is set."""
    given = _arguments(arguments)
    start_logging("dispatcher")
    told = {"http_host": given.host, "http_port": given.port}
    try:
        settings = load_settings(**{name: v for name, v in told.items() if v is not None})
        run(_until_signalled(settings, given.ready_file))
    except (FleetError, BundleRefused) as cause:
        sys.stderr.write(f"dispatcher: {cause}\n")
        return 2
    return 0


if __name__ == "__main__":
    redact_output()
    sys.exit(main())
