"""Who takes part: servers, worker commands, and what is said of each beside its figures."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.peers import servers
from bench.peers.servers import ROOT, Server

BIN = ROOT / ".bench" / "bin"


@dataclass(frozen=True, slots=True)
class Kind:
    """How a server is started, and the Debian package that has it."""

    start: Callable[[Path], AbstractContextManager[Server]]
    package: str = ""


_RABBITMQ = Kind(servers.rabbitmq, "rabbitmq-server")
_STORE = Kind(servers.redis, "redis-server")
_BOTH = Kind(partial(servers.redis, broker=True), "redis-server")
_DATABASE = Kind(servers.postgresql, "postgresql")
_LOCALBUS = Kind(servers.localbus)
_AZURITE = Kind(servers.azurite)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A peer as it is measured."""

    name: str
    title: str
    distribution: str
    """The package whose version is told."""
    app: str
    """Module under bench/peers/apps; empty for Leaf Fleet, which has a harness of its own."""
    servers: tuple[Kind, ...] = ()
    workers: Callable[[int], list[list[str]]] = lambda processes: []
    """The commands of so many worker processes."""
    apart: bool = True
    """Whether it lives in the peers' environment, not the project's."""
    prepare: bool = False
    """Whether the app makes its tables or containers before it is used."""
    tasks: int = 10_000
    chains: int = 1_430
    """Of 7 stages each: as many stages as there are tasks."""
    store: bool = True
    """Whether a result is stored."""
    records: str
    durable: str
    settings: str


def _module(app: str, python: str = str(BIN / "python")) -> Callable[[int], list[list[str]]]:
    """A worker that is a module of ours, started once for each process."""
    command = [python, "-m", f"bench.peers.apps.{app}"]
    return lambda processes: [command] * processes


def _celery(processes: int) -> list[list[str]]:
    command = [str(BIN / "celery"), "-A", "bench.peers.apps.celery_app", "worker"]
    command += ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    command += ["--loglevel", "ERROR", "-n"]
    return [[*command, f"w{number}@localhost"] for number in range(processes)]


def _dramatiq(processes: int) -> list[list[str]]:
    command = [str(BIN / "dramatiq"), "bench.peers.apps.dramatiq_rabbit"]
    return [[*command, "--processes", str(processes), "--threads", "8", "--skip-logging"]]


def _taskiq(processes: int) -> list[list[str]]:
    command = [str(BIN / "taskiq"), "worker", "bench.peers.apps.taskiq_stream:broker"]
    return [[*command, "--workers", str(processes), "--log-level", "ERROR"]]


def _saq(processes: int) -> list[list[str]]:
    return [[str(BIN / "saq"), "bench.peers.apps.saq_redis.settings", "--quiet"]] * processes


_REDIS = "append-only file synced every second"
_RABBIT = "durable queue, persistent messages"
_POSTGRES = "PostgreSQL commits synced to disk"
_BUS = "localbus, SQLite in WAL mode: survives a killed process"

CONTESTANTS = (
    Contestant(
        name="fleet",
        title="Leaf Fleet",
        distribution="leaf-fleet",
        app="",
        apart=False,
        records="claim, attempt, policy decision, spans, outcome, artifact pointers, next tasks",
        durable="ledger and localbus in SQLite, WAL mode: survive a killed process",
        settings="512 tasks at a time, handler on the event loop",
    ),
    Contestant(
        name="raw-sdk",
        title="azure-servicebus alone",
        distribution="azure-servicebus",
        app="raw_sdk",
        apart=False,
        servers=(_LOCALBUS,),
        workers=_module("raw_sdk", sys.executable),
        store=False,
        records="nothing: the ceiling",
        durable=_BUS,
        settings="100 received at a time and completed together, uvloop",
    ),
    Contestant(
        name="celery-rabbitmq",
        title="Celery, RabbitMQ + Redis",
        distribution="celery",
        app="celery_app",
        servers=(_RABBITMQ, _STORE),
        workers=_celery,
        records="state and result",
        durable=f"{_RABBIT}; Redis {_REDIS}",
        settings="solo pool, acks_late, prefetch 128, no events, gossip or mingle",
    ),
    Contestant(
        name="celery-redis",
        title="Celery, Redis",
        distribution="celery",
        app="celery_app",
        servers=(_BOTH,),
        workers=_celery,
        records="state and result",
        durable=f"Redis {_REDIS}",
        settings="as with RabbitMQ",
    ),
    Contestant(
        name="dramatiq",
        title="Dramatiq, RabbitMQ + Redis",
        distribution="dramatiq",
        app="dramatiq_rabbit",
        servers=(_RABBITMQ, _STORE),
        workers=_dramatiq,
        records="result",
        durable=f"{_RABBIT}; Redis {_REDIS}",
        settings="8 threads, middleware: retries, pipelines, results",
    ),
    Contestant(
        name="taskiq",
        title="TaskIQ, Redis stream",
        distribution="taskiq",
        app="taskiq_stream",
        servers=(_STORE,),
        workers=_taskiq,
        records="result",
        durable=f"Redis {_REDIS}",
        settings="100 tasks at a time, stream with acknowledgements",
    ),
    Contestant(
        name="saq",
        title="SAQ, Redis",
        distribution="saq",
        app="saq_redis",
        servers=(_STORE,),
        workers=_saq,
        records="job with state, times and result, kept for 10 minutes",
        durable=f"Redis {_REDIS}",
        settings="50 jobs at a time, hiredis",
    ),
    Contestant(
        name="procrastinate",
        title="Procrastinate, PostgreSQL",
        distribution="procrastinate",
        app="procrastinate_pg",
        servers=(_DATABASE,),
        workers=_module("procrastinate_pg"),
        tasks=3_000,
        chains=100,
        records="job with state, its events",
        durable=_POSTGRES,
        settings="30 jobs at a time, LISTEN/NOTIFY",
    ),
    Contestant(
        name="dbos",
        title="DBOS, PostgreSQL",
        distribution="dbos",
        app="dbos_pg",
        servers=(_DATABASE,),
        workers=_module("dbos_pg"),
        prepare=True,
        tasks=2_000,
        chains=50,
        records="workflow with state, input, output; each step's result",
        durable=_POSTGRES,
        settings="50 workflows at a time, queue looked at every 50 ms",
    ),
    Contestant(
        name="boilermaker",
        title="boilermaker, no store",
        distribution="boilermaker-servicebus",
        app="boilermaker_bus",
        servers=(_LOCALBUS,),
        workers=_module("boilermaker_bus"),
        store=False,
        tasks=2_000,
        chains=60,
        records="nothing",
        durable=_BUS,
        settings="as documented: one message at a time",
    ),
    Contestant(
        name="boilermaker-store",
        title="boilermaker, blob store",
        distribution="boilermaker-servicebus",
        app="boilermaker_bus",
        servers=(_LOCALBUS, _AZURITE),
        workers=_module("boilermaker_bus"),
        prepare=True,
        tasks=300,
        chains=10,
        records="state and result, a blob a task",
        durable=f"{_BUS}; azurite on disk",
        settings="as documented: one message at a time",
    ),
)


def python(contestant: Contestant) -> str:
    """The interpreter of its sender."""
    return str(BIN / "python") if contestant.apart else sys.executable


def named(names: str | None) -> list[Contestant]:
    """Those of a list with commas between; all without one. Exits on a name that is not known."""
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    if names is None:
        return list(CONTESTANTS)
    if unknown := [name for name in names.split(",") if name not in known]:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]
