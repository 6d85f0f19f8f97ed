"""`python -m localbus` as a process: starting, stopping, being killed, coming back."""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.exceptions import ServiceBusError

from tests.localbus.conftest import loses_connections

TOPOLOGY = {"queues": {"orders": {"lock_duration_ms": 60_000}}}
FREE = ["--port", "0", "--admin-port", "0", "--admin-http-port", "0"]


@contextmanager
def localbus(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A localbus process over `folder`, with what it announced; killed at the end if need be."""
    topology = folder / "topology.json"
    topology.write_text(json.dumps(TOPOLOGY))
    command = [sys.executable, "-m", "localbus", *FREE, "--data", str(folder / "bus")]
    command += ["--topology", str(topology), "--ready-file", str(folder / "ready.json")]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def connection_string(ready: dict[str, Any]) -> str:
    return (
        f"Endpoint=sb://127.0.0.1:{ready['amqp_port']};SharedAccessKeyName=n;"
        "SharedAccessKey=k;UseDevelopmentEmulator=true;"
    )


def children_cpu_s() -> float:
    """CPU of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def everything(ready: dict[str, Any]) -> list[tuple[str, int | None]]:
    """Take all messages of the queue, with their delivery counts."""
    with (
        ServiceBusClient.from_connection_string(connection_string(ready)) as client,
        client.get_queue_receiver(
            "orders",
            receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE,
            max_wait_time=3,
            prefetch_count=1000,
        ) as receiver,
    ):
        return [(str(message), message.delivery_count) for message in receiver]


@loses_connections
@pytest.mark.parametrize("durability", ["full", "normal"])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, durability: str) -> None:
    """After kill -9 every confirmed send is there, and nothing completed comes back."""
    acknowledged: list[str] = []
    completed: set[str] = set()
    abandoned = ""
    with localbus(tmp_path, "--durability", durability) as (process, ready):
        client = ServiceBusClient.from_connection_string(connection_string(ready), retry_total=0)
        with (
            client,
            client.get_queue_sender("orders") as sender,
            client.get_queue_receiver("orders", max_wait_time=5) as receiver,
        ):
            for number in range(200):
                sender.send_messages(ServiceBusMessage(str(number)))
                acknowledged.append(str(number))
            for _ in range(20):
                [message] = receiver.receive_messages()
                receiver.complete_message(message)
                completed.add(str(message))
            [message] = receiver.receive_messages()
            receiver.abandon_message(message)
            abandoned = str(message)
            [_locked] = receiver.receive_messages()

            process.kill()
            process.wait()
            with pytest.raises(ServiceBusError):
                sender.send_messages(ServiceBusMessage("never"), timeout=5)

    with localbus(tmp_path, "--durability", durability) as (_, ready):
        found = dict(everything(ready))
    gc.collect()

    assert sorted(found) == sorted(set(acknowledged) - completed)
    assert found[abandoned] == 1


@loses_connections
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_everything_kept(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with code 0 while clients are connected; messages are kept."""
    with (
        localbus(tmp_path) as (process, ready),
        ServiceBusClient.from_connection_string(connection_string(ready)) as client,
        client.get_queue_sender("orders") as sender,
    ):
        sender.send_messages(ServiceBusMessage("kept"))
        os.kill(ready["pid"], number)
        assert process.wait(10) == 0

    with localbus(tmp_path) as (_, ready):
        assert everything(ready) == [("kept", 0)]
    gc.collect()


def test_it_announces_where_it_listens(tmp_path: Path) -> None:
    """The ready file and the line of output tell the same ports, pid and certificate."""
    with localbus(tmp_path) as (process, ready):
        assert json.loads((tmp_path / "ready.json").read_text()) == ready
        assert ready["pid"] == process.pid
        assert Path(ready["certificate"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
        ports = {ready[name] for name in ("amqp_port", "admin_port", "admin_http_port")}
        assert len(ports) == 3


def test_it_starts_quickly(tmp_path: Path) -> None:
    """From exec to listening takes less than half a second of CPU, certificate included."""
    took = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        before = children_cpu_s()
        with localbus(folder):
            pass
        took.append(children_cpu_s() - before)

    assert min(took) < 0.5  # CPU, since seconds depend on what else the machine does


def test_a_folder_in_use_is_refused_with_a_line(tmp_path: Path) -> None:
    """A second process over the same folder says so and ends with code 1."""
    with localbus(tmp_path):
        second = subprocess.run(
            [sys.executable, "-m", "localbus", *FREE, "--data", str(tmp_path / "bus")],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert second.returncode == 1
    assert second.stderr.startswith("localbus: ")
    assert "open in another process" in second.stderr
    assert "Traceback" not in second.stderr


def test_help_shows_how_to_use_it() -> None:
    """--help names the options and gives examples with a connection string."""
    shown = subprocess.run(
        [sys.executable, "-m", "localbus", "--help"], capture_output=True, text=True, check=True
    )

    for word in ("--durability", "--topology", "--ready-file", "UseDevelopmentEmulator=true"):
        assert word in shown.stdout
