"""`fleet top`, and lists with --watch: one look, one for a pipe, and live in a real terminal."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.console.conftest import PROJECT, Fleet, environment
from tests.console.ledgers import Home


def test_one_look_tells_lanes_runs_and_what_needs_people(fleet: Fleet, home: Home) -> None:
    """Every lane of the lanes file is there, beside what runs and what ended badly."""
    run = home.run(1, broken=True)

    look = json.loads(fleet("top", "--once", "--json").out)

    assert {"mirror", "compute", "agent"} <= {lane["lane"] for lane in look["lanes"]}
    assert look["attention"]["dead"] == 1
    assert run not in {row["run"] for row in look["runs"]}  # it has ended
    assert look["bus_trouble"] != ""
    assert {lane["depth"] for lane in look["lanes"]} == {None}


def test_a_pipe_gets_one_look(fleet: Fleet, home: Home) -> None:
    """Where nobody watches, it is drawn once and the command ends."""
    home.run(1, broken=True)

    done = fleet("top")

    assert done.code == 0
    assert "1 tasks ended badly" in done.out
    assert "mirror" in done.out


@pytest.mark.parametrize("command", ["top", "lanes --watch"])
def test_a_terminal_is_redrawn_until_it_is_interrupted(command: str, home: Home) -> None:
    """It takes the whole screen, draws again and again, and gives the screen back at Ctrl-C."""
    home.run(1)
    ours, theirs = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "console.cli", *command.split(), "--every", "0.2"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(home.folder, settings),
        cwd=PROJECT,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        seen = _read_until(ours, b"mirror", times=2)
        process.send_signal(signal.SIGINT)
        seen += _read_until(ours, b"\x1b[?1049l")
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert b"\x1b[?1049h" in seen
    assert code == 130


def _read_until(terminal: int, wanted: bytes, times: int = 1) -> bytes:
    """What the terminal shows, up to where `wanted` was shown so often."""
    seen = b""
    while seen.count(wanted) < times:
        seen += os.read(terminal, 65_536)
    return seen
