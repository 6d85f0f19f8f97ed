"""Rounds of load that end with kill -9, over one data folder, and the account at the end."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import ServiceBusError

from tests.localbus.chaos.history import History

QUEUE = "load"
_SENDERS, _RECEIVERS = 2, 2
_FIRST_S, _LAST_S = 0.05, 1.5
"""The earliest and the latest moment of a kill, once every client has done something."""


def run_rounds(folder: Path, rounds: int, seed: int, say: Callable[[str], None]) -> list[str]:
    """Kill the bus `rounds` times under load; returns what was promised and not kept."""
    random = Random(seed)
    history = History()
    for number in range(rounds):
        with _bus(folder) as (process, connection_string):
            moment_s = random.uniform(_FIRST_S, _LAST_S)
            _load_until_killed(process, connection_string, history, number, moment_s)
        gc.collect()  # the SDK leaves the sockets of lost connections to the garbage collector
        say(
            f"round {number + 1}: killed after {moment_s:.3f} s;"
            f" {len(history.sent)} sent, {len(history.completed)} completed so far"
        )
    with _bus(folder) as (_, connection_string):
        found = _everything(connection_string)
    say(f"{len(found)} messages are there in the end")
    return history.violations(found)


@contextmanager
def _bus(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    topology = folder / "topology.json"
    topology.write_text(json.dumps({"queues": {QUEUE: {"lock_duration_ms": 300_000}}}))
    ports = ["--port", "0", "--admin-port", "0", "--admin-http-port", "0"]
    command = [sys.executable, "-m", "localbus", *ports, "--data", str(folder / "bus")]
    with subprocess.Popen(
        [*command, "--topology", str(topology)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["amqp_port"]
            yield (
                process,
                f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=n;SharedAccessKey=k;"
                "UseDevelopmentEmulator=true;",
            )
        finally:
            process.kill()


def _load_until_killed(
    process: subprocess.Popen[str],
    connection_string: str,
    history: History,
    number: int,
    moment_s: float,
) -> None:
    busy = [Event() for _ in range(_SENDERS + _RECEIVERS)]
    threads = [
        Thread(target=_send, args=(connection_string, history, f"{number}.{i}", busy[i]))
        for i in range(_SENDERS)
    ] + [
        Thread(target=_receive, args=(connection_string, history, busy[_SENDERS + i]))
        for i in range(_RECEIVERS)
    ]
    for thread in threads:
        thread.start()
    for event in busy:
        assert event.wait(30), "a client did nothing"
    Event().wait(moment_s)  # load goes on meanwhile: this is the random moment itself
    process.send_signal(signal.SIGKILL)
    process.wait()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client hangs after the kill"


def _send(connection_string: str, history: History, prefix: str, busy: Event) -> None:
    with (
        ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client,
        client.get_queue_sender(QUEUE) as sender,
    ):
        for number in range(1_000_000):
            name = f"{prefix}.{number}"
            history.send_begins(name)
            try:
                sender.send_messages(ServiceBusMessage(name))
            except ServiceBusError:
                return
            history.send_acknowledged(name)
            busy.set()


def _receive(connection_string: str, history: History, busy: Event) -> None:
    with (
        ServiceBusClient.from_connection_string(connection_string, retry_total=0) as client,
        client.get_queue_receiver(QUEUE, prefetch_count=20) as receiver,
    ):
        try:
            while True:
                for message in receiver.receive_messages(max_wait_time=5):
                    name = str(message)
                    history.received(name)
                    if hash(message.sequence_number) % 5 == 0:
                        receiver.abandon_message(message)
                        continue
                    history.complete_begins(name)
                    receiver.complete_message(message)
                    history.complete_acknowledged(name)
                    busy.set()
        except ServiceBusError:
            return


def _everything(connection_string: str) -> list[str]:
    found = []
    with ServiceBusClient.from_connection_string(connection_string) as client:
        for sub_queue in (None, "deadletter"):  # some were abandoned until they died
            with client.get_queue_receiver(
                QUEUE,
                sub_queue=sub_queue,
                receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE,
                max_wait_time=3,
                prefetch_count=1000,
            ) as receiver:
                found += [str(message) for message in receiver]
    return found
