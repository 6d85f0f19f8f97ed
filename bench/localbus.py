"""What localbus costs and carries, measured from outside: `python -m bench.localbus [SECTION...]`.

throughput   SDK clients in 1 and 4 processes: messages a second, CPU of broker and client a message
ceiling      the broker alone, driven by clients that cost nearly nothing
backlog      1,000,000 messages of 1 KiB: memory, and the time until it serves again
crowd        1,000 connections on 500 queues at once
start        from exec to the first accepted connection

Prints Markdown. CPU is user and system time as the kernel counts it (Linux only).
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient

from bench.amqp_client import RawClient

_TICK = os.sysconf("SC_CLK_TCK")
_BODY = b"x" * 1024


@dataclass(frozen=True, slots=True)
class Bus:
    """A localbus process and what the kernel says about it."""

    process: subprocess.Popen[str]
    port: int

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=n;SharedAccessKey=k;"
            "UseDevelopmentEmulator=true;"
        )

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident_mib(self) -> float:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextmanager
def running(folder: Path, queues: int = 1) -> Iterator[Bus]:
    """A durable bus over `folder` with queues q0, q1, ..., once it accepts connections."""
    topology = folder / "topology.json"
    topology.write_text(json.dumps({"queues": {f"q{n}": {} for n in range(queues)}}))
    ports = ["--port", "0", "--admin-port", "0", "--admin-http-port", "0"]
    command = [sys.executable, "-m", "localbus", *ports, "--data", str(folder / "bus")]
    with subprocess.Popen(
        [*command, "--topology", str(topology)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["amqp_port"]
            with RawClient(port):
                yield Bus(process, port)
        finally:
            process.terminate()
            process.wait(60)


# -- throughput through the SDK --------------------------------------------------------------------


_IN_BATCHES = "receive 100, complete all at once"
_CHEAP = "receive+complete, cheap client"


def client_main(case: str, connection_string: str, count: int) -> None:
    """One client process: do `count` messages of a case and print wall and CPU seconds."""
    if case == _CHEAP:
        port = int(connection_string.split(";", maxsplit=1)[0].rpartition(":")[2])
        with RawClient(port) as raw:
            _timed(lambda: raw.receive("q0", count))
    elif case == _IN_BATCHES:
        asyncio.run(_in_batches(connection_string, count))
    else:
        _one_by_one(case, connection_string, count)


def _timed(do: Callable[[], None]) -> None:
    """Do it once all clients are told to begin."""
    sys.stdin.readline()
    began, used = time.perf_counter(), _own_cpu_s()
    do()
    print(json.dumps([time.perf_counter() - began, _own_cpu_s() - used]), flush=True)


async def _in_batches(connection_string: str, count: int) -> None:
    """The SDK's fastest way that confirms each: no prefetch, a batch completed concurrently."""
    async with (
        AsyncServiceBusClient.from_connection_string(connection_string) as client,
        client.get_queue_receiver("q0") as receiver,
    ):
        sys.stdin.readline()
        began, used, left = time.perf_counter(), _own_cpu_s(), count
        while left > 0:
            messages = await receiver.receive_messages(min(100, left), max_wait_time=5)
            await asyncio.gather(*(receiver.complete_message(each) for each in messages))
            left -= len(messages)
        print(json.dumps([time.perf_counter() - began, _own_cpu_s() - used]), flush=True)


def _one_by_one(case: str, connection_string: str, count: int) -> None:
    with (
        ServiceBusClient.from_connection_string(connection_string) as client,
        ExitStack() as stack,
    ):
        if case == "receive+complete":
            receiver = stack.enter_context(client.get_queue_receiver("q0", prefetch_count=100))

            def do() -> None:
                for _, message in zip(range(count), receiver, strict=False):
                    receiver.complete_message(message)
        else:
            sender = stack.enter_context(client.get_queue_sender("q0"))
            size = 100 if case == "send in batches of 100" else 1

            def do() -> None:
                for _ in range(count // size):
                    batch = [ServiceBusMessage(_BODY) for _ in range(size)]
                    sender.send_messages(batch if size > 1 else batch[0])

        _timed(do)


def _own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def throughput() -> None:
    print(
        "\n| case | clients | messages/s | broker us/message | broker share of a core | "
        "client us/message | client share of a core |"
    )
    print("|---|---|---|---|---|---|---|")
    for clients in (1, 4):
        with tempfile.TemporaryDirectory() as name, running(Path(name)) as bus:
            each = 4_000 // clients
            for case, count in (
                ("send one by one", each),
                ("send in batches of 100", 5 * each),
                ("receive+complete", 5 * each),
                ("send in batches of 100", 5 * each),
                (_IN_BATCHES, 5 * each),
                ("send in batches of 100", 10 * each),
                (_CHEAP, 10 * each),
            ):
                print(_measure(bus, case, clients, count), flush=True)


def _measure(bus: Bus, case: str, clients: int, count: int) -> str:
    command = [sys.executable, "-m", "bench.localbus", "client", case, bus.connection_string]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, str(count)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(clients)
        ]
        time.sleep(2.0)  # every client has opened its link; opening is not what is measured
        cpu = bus.cpu_s()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        results = [json.loads(_line(process)) for process in processes]
        cpu = bus.cpu_s() - cpu
    total, wall = count * clients, max(result[0] for result in results)
    client_cpu = sum(result[1] for result in results)
    return (
        f"| {case} | {clients} | {total / wall:,.0f} | {cpu / total * 1e6:.0f} | {cpu / wall:.0%} |"
        f" {client_cpu / total * 1e6:.0f} | {client_cpu / wall / clients:.0%} |"
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


# -- the broker alone ------------------------------------------------------------------------------


def ceiling() -> None:
    """Clients that send prepared bytes and read only what they must."""
    print("\n| the broker alone | messages/s | broker us/message | broker share of a core |")
    print("|---|---|---|---|")
    count = 40_000
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as bus:
        cases: list[tuple[str, Callable[[RawClient], None]]] = [
            ("send one by one, 100 on the way", lambda it: it.send("q0", _BODY, count, 1)),
            ("receive+complete, 100 on the way", lambda it: it.receive("q0", count)),
            ("send in batches of 100", lambda it: it.send("q0", _BODY, count, 100)),
        ]
        for case, do in cases:
            with RawClient(bus.port) as client:
                cpu, began = bus.cpu_s(), time.perf_counter()
                do(client)
                wall, cpu = time.perf_counter() - began, bus.cpu_s() - cpu
            print(
                f"| {case} | {count / wall:,.0f} | {cpu / count * 1e6:.0f} | {cpu / wall:.0%} |",
                flush=True,
            )


# -- a backlog -------------------------------------------------------------------------------------


def backlog(count: int = 1_000_000) -> None:
    print(f"\n| backlog of {count:,} messages of 1 KiB | |")
    print("|---|---|")
    with tempfile.TemporaryDirectory() as name:
        with running(Path(name)) as bus, RawClient(bus.port) as client:
            began = time.perf_counter()
            client.send("q0", _BODY, count, 200)
            wall = time.perf_counter() - began
            print(f"| taken in | {wall:.1f} s, {count / wall:,.0f}/s |")
            print(f"| memory with all of it waiting | {bus.resident_mib():.0f} MiB |")
            client.receive("q0", 10_000)
            print(f"| memory after 10,000 received | {bus.resident_mib():.0f} MiB |")
        began = time.perf_counter()
        with running(Path(name)) as bus:
            took = time.perf_counter() - began
            print(f"| restart to the first accepted connection | {took:.2f} s |")
            with RawClient(bus.port) as client:
                client.receive("q0", 1)
            print(
                f"| restart to the first message received | {time.perf_counter() - began:.2f} s |"
            )
            print(f"| memory after the restart | {bus.resident_mib():.0f} MiB |")
            bus.process.kill()
            bus.process.wait()
        began = time.perf_counter()
        with running(Path(name)):
            took = time.perf_counter() - began
            print(f"| after kill -9 to the first accepted connection | {took:.2f} s |", flush=True)


# -- a crowd ---------------------------------------------------------------------------------------


def crowd(connections: int = 1_000, queues: int = 500) -> None:
    print(f"\n| {connections:,} connections on {queues} queues | |")
    print("|---|---|")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4_096)), hard))
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name), queues) as bus,
        ExitStack() as stack,
    ):
        before, began = bus.resident_mib(), time.perf_counter()
        clients = [stack.enter_context(RawClient(bus.port)) for _ in range(connections)]
        opened = time.perf_counter()
        for number, client in enumerate(clients):
            client.send(f"q{number % queues}", _BODY, 10, 1)
        sent = time.perf_counter()
        for number, client in enumerate(clients):
            client.receive(f"q{number % queues}", 10, credit=10)
        print(f"| opened in | {opened - began:.2f} s |")
        print(f"| 10 messages sent by each in | {sent - opened:.2f} s |")
        print(f"| 10 received and completed by each in | {time.perf_counter() - sent:.2f} s |")
        grown = bus.resident_mib() - before
        print(
            f"| memory | {bus.resident_mib():.0f} MiB, {grown * 1024 / connections:.0f} KiB a "
            "connection |",
            flush=True,
        )


# -- starting --------------------------------------------------------------------------------------


def start(times: int = 7) -> None:
    took = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as name:
            began = time.perf_counter()
            with running(Path(name)):
                took.append(time.perf_counter() - began)
    print(
        f"\nStart, exec to the first accepted connection, certificate made: median "
        f"{statistics.median(took):.2f} s, worst of {times} {max(took):.2f} s."
    )


_SECTIONS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (start, throughput, ceiling, crowd, backlog)
}


def main(arguments: list[str]) -> int:
    """Run the named sections, or all."""
    if arguments[:1] == ["client"]:
        client_main(arguments[1], arguments[2], int(arguments[3]))
        return 0
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    for name in arguments or list(_SECTIONS):
        _SECTIONS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
