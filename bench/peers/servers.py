"""The servers of the peers, on loopback and free ports, each with a data folder of its own.

From Debian's packages (rabbitmq-server, redis-server, postgresql), azurite from npm, localbus from
here. Nothing that runs on the machine already is touched: each is started, known and ended by its
process id.
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peers.processes import stop, wait_until

DEBIAN = ("rabbitmq-server", "redis-server", "postgresql")
ROOT = Path(__file__).parents[2]
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_POSTGRES = Path("/usr/lib/postgresql")
_KEY = "Zm9yIHRoZSBiZW5jaG1hcmsgb24gbG9vcGJhY2sgb25seQ=="


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: whether it is broker or store, its process, what peers must know of it."""

    part: str
    pid: int
    environment: Mapping[str, str]


def missing() -> list[str]:
    """Debian packages that are not installed."""
    found = {
        "rabbitmq-server": _RABBIT.exists(),
        "redis-server": shutil.which("redis-server") is not None,
        "postgresql": bool(_postgres_versions()),
    }
    return [name for name in DEBIAN if not found[name]]


def install(packages: list[str]) -> None:
    """By apt-get; needs root. What Debian starts at once stays as Debian starts it."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    subprocess.run(command, check=True, env=environment)


@contextmanager
def rabbitmq(folder: Path) -> Iterator[Server]:
    """Durable queues, persistent messages; one node, no plugins."""
    port, mapper, distribution = free_port(), free_port(), free_port()
    (folder / "none").touch()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    environment = os.environ | {
        "HOME": str(folder),  # of Erlang's cookie
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "none"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    epmd = [_epmd(), "-port", str(mapper), "-address", "127.0.0.1"]
    with (
        _running(epmd, folder / "epmd.log", environment),
        _running([str(_RABBIT)], folder / "out.log", environment) as pid,
    ):
        wait_until(lambda: _listens(port), "RabbitMQ", 90)
        address = {"BENCH_BROKER": f"amqp://guest:guest@127.0.0.1:{port}/%2F"}
        wait_until(lambda: "started TCP listener" in _log(folder / "log"), "RabbitMQ", 90)
        yield Server("broker", pid, address)


@contextmanager
def redis(folder: Path, *, broker: bool = False) -> Iterator[Server]:
    """Append-only file, synced every second: Redis's recommended durability."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    with _running(command, folder / "redis.log") as pid:
        wait_until(lambda: _listens(port), "Redis")
        address = f"redis://127.0.0.1:{port}/0"
        names = ("BENCH_REDIS", "BENCH_BROKER") if broker else ("BENCH_REDIS",)
        yield Server("store", pid, dict.fromkeys(names, address) | {"BENCH_REDIS_PORT": str(port)})


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """As Debian's defaults have it: fsync and synchronous commits; statements are counted."""
    port, data = free_port(), folder / "data"
    binaries = _postgres_versions()[-1] / "bin"
    as_user = _as_postgres(folder)
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust"]
    subprocess.run([*as_user, *initdb], check=True, stdout=subprocess.DEVNULL, cwd=folder)
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(folder),
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.max": "10000",
        "shared_buffers": "256MB",
        "max_connections": "200",
    }
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with _running([*as_user, *command], folder / "postgres.log", end=signal.SIGINT) as pid:
        wait_until(lambda: _listens(port), "PostgreSQL")
        place = f"postgresql://bench@127.0.0.1:{port}/bench"
        psql = ["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-q"]
        for database, sql in (
            ("postgres", "CREATE DATABASE bench"),
            ("bench", "CREATE EXTENSION pg_stat_statements"),
        ):
            subprocess.run([*psql, "-d", database, "-c", sql], check=True)
        yield Server("store", pid, {"BENCH_POSTGRES": place, "BENCH_POSTGRES_URL": place})


@contextmanager
def localbus(folder: Path) -> Iterator[Server]:
    """The embedded Service Bus, durable as by default, with one queue."""
    topology = folder / "topology.json"
    topology.write_text(json.dumps({"queues": {"bench": {}}}))
    ports = ["--port", "0", "--admin-port", "0", "--admin-http-port", "0"]
    command = [sys.executable, "-m", "localbus", *ports, "--data", str(folder / "bus")]
    out = folder / "localbus.log"
    with _running([*command, "--topology", str(topology)], out) as pid:
        wait_until(lambda: out.read_text().startswith("{"), "localbus")
        port = json.loads(out.read_text().splitlines()[0])["amqp_port"]
        connection = (
            f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;"
            "UseDevelopmentEmulator=true;"
        )
        yield Server("broker", pid, {"BENCH_BUS": connection})


@contextmanager
def azurite(folder: Path) -> Iterator[Server]:
    """Azure's blob storage emulator, on disk."""
    port = free_port()
    program = ROOT / ".bench" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    command = ["node", str(program), "--silent", "--location", str(folder), "--skipApiVersionCheck"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--disableTelemetry"]
    environment = os.environ | {"AZURITE_ACCOUNTS": f"bench:{_KEY}"}
    with _running(command, folder / "azurite.log", environment) as pid:
        wait_until(lambda: _listens(port), "azurite")
        place = f"http://127.0.0.1:{port}/bench"
        account = {"BENCH_BLOB_NAME": "bench", "BENCH_BLOB_KEY": _KEY}
        yield Server("store", pid, {"BENCH_BLOB": place} | account)


@contextmanager
def _running(
    command: list[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    end: int = signal.SIGTERM,
) -> Iterator[int]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, cwd=ROOT, start_new_session=True
        )
    try:
        yield process.pid
    finally:
        stop(process, end)


def free_port() -> int:
    """One that nobody listened on a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _log(folder: Path) -> str:
    return "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))


def _epmd() -> str:
    return shutil.which("epmd") or "/usr/lib/erlang/bin/epmd"


def _postgres_versions() -> list[Path]:
    found = [path for path in _POSTGRES.glob("*") if (path / "bin" / "initdb").exists()]
    return sorted(found, key=lambda path: float(path.name))


def _as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses root: then the package's own user runs it, in a folder of that user."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    for place in (folder, *list(folder.parents)[:2]):
        if place.stat().st_uid == 0 and place.is_relative_to("/tmp") and place != Path("/tmp"):
            place.chmod(0o755)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["runuser", "-u", "postgres", "--"]
