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

from localbus.server import Listening, ServerOptions, serve
from localbus.store import Durability, StoreInUse
from localbus.topology import InvalidTopology, Topology, read_topology

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
    add("--port", type=int, default=5672, help="AMQP port; 0 takes a free one (default: 5672)")
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
    return parser.parse_args(argv)


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
            port=arguments.port,
            admin_port=arguments.admin_port,
            admin_http_port=arguments.admin_http_port,
            data=arguments.data,
            topology=topology,
            durability=Durability(arguments.durability),
        )
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_run(options, arguments.ready_file))
    except (InvalidTopology, StoreInUse, OSError, sqlite3.Error) as error:
        sys.stderr.write(f"localbus: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
