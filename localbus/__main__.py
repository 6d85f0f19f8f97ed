"""`python -m localbus`: an Azure Service Bus on this machine.

The only place that reads arguments and signals; `server` does the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from localbus.sas import SasKeys
from localbus.server import Listening, RemoteNotAllowed, ServerOptions, serve
from localbus.store import Durability, StoreInUse
from localbus.topology import InvalidTopology, Topology, read_topology

_KEY_VARIABLE = "LOCALBUS_SAS_KEY"
_EXAMPLES = """\
examples:
  python -m localbus
      on 127.0.0.1:5672, queues made through the admin API, gone at the end
  python -m localbus --data ./bus --topology queues.json
      durable in ./bus, with the queues of a file (the emulator's Config.json is read too)
  python -m localbus --port 0 --admin-port 0 --admin-http-port 0 --ready-file ready.json
      on free ports, which ready.json and the first line of output tell

connect with
  Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=RootManageSharedAccessKey;\
SharedAccessKey=local;UseDevelopmentEmulator=true;
administer with the same and port 5300 (https; the certificate is in the data folder)
"""


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m localbus",
        description="An embedded Azure Service Bus: AMQP 1.0 and the admin HTTP API on SQLite.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: loopback only)")
    add(
        "--port",
        type=int,
        help="AMQP port; 0 takes a free one (default: 5672, with --tls 5671)",
    )
    add("--admin-port", type=int, default=5300, help="admin API over https (default: 5300)")
    add("--admin-http-port", type=int, default=5301, help="admin API, plain (default: 5301)")
    add("--data", type=Path, metavar="FOLDER", help="keep messages here (default: keep nothing)")
    add("--topology", type=Path, metavar="FILE", help="queues to have from the start (JSON)")
    add(
        "--durability",
        choices=[each.value for each in Durability],
        default=Durability.NORMAL.value,
        help="what a commit survives: full = power loss, normal = a kill, none (default: normal)",
    )
    add("--ready-file", type=Path, metavar="FILE", help="write ports and pid here once listening")
    add(
        "--allow-remote",
        action="store_true",
        help="let --host be other than loopback; use --sas-key and --tls with it",
    )
    add(
        "--sas-key",
        action="append",
        default=[],
        metavar="NAME:KEY",
        help="check tokens against this key, instead of accepting any; may be given again; "
        f"${_KEY_VARIABLE} is read too, and does not show in the list of processes",
    )
    add("--tls", action="store_true", help="AMQP inside TLS, with the admin API's certificate")
    add(
        "--control",
        action="store_true",
        help="for tests: faults and the clock under /$control on the plain admin port",
    )
    add("--seed", type=int, default=0, help="begin the draw of --control's faults with this")
    return parser.parse_args(argv)


class _InvalidKey(ValueError):
    """A key without a name, or a name without a key."""


def _sas_keys(given: list[str], of_environment: str | None) -> SasKeys | None:
    texts = given + ([of_environment] if of_environment else [])
    keys = {}
    for text in texts:
        name, _, key = text.partition(":")
        if not name or not key:
            raise _InvalidKey("a key is written NAME:KEY, such as RootManageSharedAccessKey:secret")
        keys[name] = key
    return SasKeys(keys) if keys else None


def _port(given: int | None, *, tls: bool) -> int:
    return given if given is not None else (5671 if tls else 5672)


async def _run(options: ServerOptions, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve(options) as server:
        _announce(server.listening, ready_file)
        server.bus.failure.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if server.bus.failure.done():
            server.bus.failure.result()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed: it saves a sixth of the CPU when messages come one by one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _announce(listening: Listening, ready_file: Path | None) -> None:
    line = json.dumps(listening.as_dict())
    if ready_file is not None:
        # written beside and renamed, so that whoever waits for it never reads half of it
        partial = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        partial.write_text(line + "\n", encoding="utf-8")
        partial.replace(ready_file)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0, or 1 with a line of why it could not."""
    arguments = _arguments(argv)
    topology: Topology | None = None
    try:
        if arguments.topology is not None:
            topology = read_topology(arguments.topology)
        options = ServerOptions(
            host=arguments.host,
            port=_port(arguments.port, tls=arguments.tls),
            admin_port=arguments.admin_port,
            admin_http_port=arguments.admin_http_port,
            data=arguments.data,
            topology=topology,
            durability=Durability(arguments.durability),
            allow_remote=arguments.allow_remote,
            sas_keys=_sas_keys(arguments.sas_key, os.environ.get(_KEY_VARIABLE)),
            tls=arguments.tls,
            control=arguments.control,
            seed=arguments.seed,
        )
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(options, arguments.ready_file))
    except RemoteNotAllowed as error:
        sys.stderr.write(f"localbus: {error}; --allow-remote opens the bus to other machines\n")
        return 1
    except (InvalidTopology, StoreInUse, OSError, sqlite3.Error, _InvalidKey) as error:
        sys.stderr.write(f"localbus: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
