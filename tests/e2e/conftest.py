"""The whole fleet as it is run: `fleet` as a command, every part a process of its own."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.stack.record import StackRecord, read_record
from fleet.ledger.reader import LedgerReader

PROJECT = Path(__file__).parents[2]
PATIENCE = 100.0
_SHORT_LEASE = 3
_PROCESSES = 5
"""Bus, dispatcher, console, two workers."""


@dataclass(frozen=True)
class Home:
    """One FLEET_HOME, and the commands called on it."""

    folder: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`fleet ...` in the background; stdout is a pipe, stderr goes to the test's."""
        return subprocess.Popen(
            [sys.executable, "-m", "console.cli", *arguments],
            cwd=PROJECT,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fleet(self, *arguments: str, code: int = 0, **more: str) -> Any:
        """The last line that `fleet ... --json` prints, as a value. `code`: how it must end."""
        process = self.start(*arguments, "--json", **more)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"fleet {arguments} ended with {process.returncode}"
        return json.loads(out.splitlines()[-1]) if out.strip() else None

    def lines(self, *arguments: str) -> list[Any]:
        """Every line that `fleet ... --json` prints."""
        out, _ = self.start(*arguments, "--json").communicate(timeout=PATIENCE)
        return [json.loads(line) for line in out.splitlines()]

    @property
    def record(self) -> StackRecord:
        record = read_record(self.folder / "stack.json")
        assert record is not None, "the stack does not run"
        return record

    @property
    def bus_connection(self) -> str:
        return (self.folder / "bus.connection").read_text(encoding="utf-8").strip()

    def reader(self) -> LedgerReader:
        return LedgerReader(f"sqlite:///{self.folder / 'ledger.db'}")


def a_home(folder: Path, **more: str) -> Home:
    """A home whose lanes have short leases, so that a dead worker's tasks come back soon."""
    folder.mkdir(parents=True)
    lanes = (PROJECT / "fleet" / "lanes.toml").read_text(encoding="utf-8")
    lanes = lanes.replace("mode =", f"lease = {_SHORT_LEASE}\nmode =")
    (folder / "lanes.toml").write_text(lanes, encoding="utf-8")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("FLEET_")}
    own = {"FLEET_HOME": str(folder), "FLEET_LANES_FILE": str(folder / "lanes.toml")}
    return Home(folder, clean | own | more)


def until(condition: Callable[[], Any], what: str) -> Any:
    """What `condition` gives once it is true. Other processes give no signal, so it looks often."""
    end, idle = time.monotonic() + PATIENCE, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"never came: {what}"
        idle.wait(0.02)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A running stack of two workers, supervised by `fleet up`."""
    made = a_home(tmp_path_factory.mktemp("e2e") / "home")
    supervisor = made.start("up", "--workers", "2")
    try:
        until(lambda: _serves(made), "a stack that serves")
        yield made
    finally:
        supervisor.terminate()
        supervisor.communicate(timeout=PATIENCE)


def _serves(home: Home) -> bool:
    """Whether everything was started and the dispatcher says that it is ready."""
    record = read_record(home.folder / "stack.json")
    if record is None or len(record.alive) < _PROCESSES:
        return False
    try:
        answer = httpx.get(f"http://{record.http_host}:{record.http_port}/readyz")
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK
