"""A worker process: `python -m workers`. The only place here that builds real adapters."""

import argparse
import asyncio
import contextlib
import importlib.metadata
import logging
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from contracts.lane import Lane, LaneTable, Mode
from fleet.artifacts.opened import open_store
from fleet.artifacts.upkeep import tidied
from fleet.bus.bus import open_bus
from fleet.clock import SystemClock
from fleet.cluster.cluster import Cluster, open_cluster
from fleet.cluster.errors import ClusterRefused
from fleet.cluster.names import NAMESPACE
from fleet.cluster.own_pod import OwnPod
from fleet.errors import FleetError
from fleet.lanes import load_lanes
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.loop import run
from fleet.ready import write_ready
from fleet.registry import payload_registry
from fleet.settings import Settings, load_settings
from fleet.telemetry.logs import hear, start_logging
from fleet.telemetry.measures import measure_rules
from fleet.telemetry.output import redact_output
from fleet.telemetry.telemetry import start_telemetry
from policies.bundle import BundleRefused
from policies.live import LiveGate
from workers.apart import Apart
from workers.deletion_cost import keep_told
from workers.faultpoints import VARIABLE, planned
from workers.flow import Flow
from workers.health import Watch
from workers.leases import LeaseKeeper
from workers.relays import Relays
from workers.runner import HandlerRunner
from workers.site import Site
from workers.stages.table import all_handlers
from workers.verify import verify
from workers.worker import Beside, serve

_log = logging.getLogger("workers")

_EXAMPLES = """\
examples:
  python -m workers                            work on every lane
  python -m workers --lanes mirror,normalize   work on two lanes
  python -m workers --lanes agent --until-idle 30
                                               work off one lane's queue, then end
  python -m workers --verify RUN --json        run a run's deterministic stages again and compare

Settings come from FLEET_* variables; `fleet config` shows them.
Exit codes: 0 stopped as asked, or by itself to be started anew (handlers would not end), or
verified; 1 verify found a difference; 2 refused to start."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m workers",
        description="Take tasks from lane queues and carry them out.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--lanes", help="names with commas between; default: all")
    parser.add_argument("--ready-file", type=Path, help="written once the lanes are served")
    parser.add_argument(
        "--health-file",
        type=Path,
        help="says how the lanes are; `python -m workers.health` reads it",
    )
    parser.add_argument(
        "--until-idle",
        type=float,
        metavar="SECONDS",
        help="end once nothing came for so long: a job of Kubernetes",
    )
    parser.add_argument(
        "--deferred",
        type=int,
        metavar="NUMBER",
        help="work on one deferred message of the one lane, then end: a task's own pod",
    )
    parser.add_argument("--verify", metavar="RUN", help="verify a run instead of working")
    parser.add_argument("--json", action="store_true", help="with --verify: one JSON object")
    arguments = parser.parse_args()
    start_logging("workers")
    try:
        settings = load_settings()
        if arguments.verify:
            return _verify(settings, arguments.verify, as_json=arguments.json)
        lanes = load_lanes(settings.lanes_file)
        chosen = _chosen(lanes, arguments.lanes)
        run(_serve(settings, lanes, chosen, arguments))
    except (FleetError, BundleRefused, KeyError) as cause:
        sys.stderr.write(f"{cause.args[0] if cause.args else cause}\n")
        return 2
    return 0


async def _serve(
    settings: Settings,
    table: LaneTable,
    lanes: list[Lane],
    arguments: argparse.Namespace,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    store = open_store(settings.artifacts_address, settings.artifacts_folder)
    worker = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    runner = HandlerRunner(processes=os.cpu_count() or 1)
    handlers = all_handlers()
    for handler in handlers.values():
        hear(handler.run)
    async with await Ledger.open(settings.ledger_address, apart=True) as ledger:
        gate = LiveGate(settings.rules, table)
        with start_telemetry("worker", ledger, settings.metrics_at) as telemetry:
            measure_rules(telemetry.meter, lambda: gate.generation, lambda: gate.refused)
            async with open_bus(settings.bus_address, store, telemetry.send_tracer) as bus:
                point = planned(os.environ.get(VARIABLE))
                site = Site(
                    worker=worker,
                    bus=bus,
                    ledger=ledger,
                    store=store,
                    gate=gate,
                    registry=payload_registry(),
                    handlers=handlers,
                    leases=LeaseKeeper(ledger, clock),
                    relays=Relays(bus, ledger, clock, point),
                    runner=runner,
                    clock=clock,
                    chance=random.random,
                    tracer=telemetry.tracer,
                    sources_file=settings.sources_file,
                    scratch=settings.home.absolute() / "scratch" / worker,
                    code_version=importlib.metadata.version("leaf-fleet"),
                    point=point,
                )
                if any(lane.mode is Mode.PROCESS for lane in lanes):
                    runner.warm()
                if arguments.ready_file is not None:
                    names = [lane.name for lane in lanes]
                    write_ready(arguments.ready_file, worker=worker, lanes=names)
                await tidied(store, clock)
                _log.info("%s serves %s", worker, ", ".join(lane.name for lane in lanes))
                with (
                    LedgerReader(settings.ledger_reading_address) as reader,
                    _cluster(settings) as cluster,
                ):
                    if cluster is not None and arguments.deferred is None:
                        site = replace(site, apart=Apart(cluster))
                    flow = Flow(ledger, clock)
                    watch = Watch(
                        lanes,
                        reader=reader,
                        bus=bus,
                        clock=clock,
                        left_behind=lambda: runner.left_behind,
                        paused=flow.paused,
                    )
                    await serve(
                        site,
                        lanes,
                        stop,
                        settings.grace,
                        watch=watch,
                        health_file=arguments.health_file,
                        until_idle=arguments.until_idle,
                        beside=_beside(settings, watch, cluster),
                        number=arguments.deferred,
                        flow=flow,
                    )
    runner.close()


@contextlib.contextmanager
def _cluster(settings: Settings) -> Iterator[Cluster | None]:
    """The cluster that this worker is a pod of; None elsewhere, or where it cannot be asked."""
    if settings.pod is None:
        yield None
        return
    try:
        opened = open_cluster(namespace=settings.pod_namespace or NAMESPACE)
    except ClusterRefused as cause:
        _log.error("no pods of their own for tasks, and scale-down will not spare this: %s", cause)
        yield None
        return
    with opened:
        yield opened


def _beside(settings: Settings, watch: Watch, cluster: Cluster | None) -> list[Beside]:
    """On Kubernetes: the pod says while it is busy."""
    if cluster is None or settings.pod is None:
        return []
    return [partial(keep_told, OwnPod(cluster, settings.pod), lambda: watch.running)]


def _verify(settings: Settings, run: str, *, as_json: bool) -> int:
    with LedgerReader(settings.ledger_reading_address) as reader:
        report = verify(
            reader.find_run(run),
            reader=reader,
            store=open_store(settings.artifacts_address, settings.artifacts_folder),
            registry=payload_registry(),
            handlers=all_handlers(),
            scratch=settings.home.absolute() / "scratch" / "verify",
        )
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    else:
        word = "byte-same" if report.same else "different"
        text = f"{report.run}: {report.checked} tasks run again, {word}\n"
        if report.first_difference is not None:
            found = report.first_difference
            text += f"  first difference: {found.stage} {found.partition}: {found.difference}\n"
        sys.stdout.write(text)
    return 0 if report.same else 1


def _chosen(lanes: LaneTable, names: str | None) -> list[Lane]:
    return [lanes.named(name.strip()) for name in names.split(",")] if names else list(lanes)


if __name__ == "__main__":
    redact_output()
    sys.exit(main())
