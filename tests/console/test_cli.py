"""The way in and out of `fleet`: help, exit codes, and one plain line for whatever is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import COMMANDS
from tests.console.conftest import PROJECT, Fleet, called, environment
from tests.console.ledgers import Home


def test_help_answers_at_once(tmp_path: Path) -> None:
    """`fleet --help` takes less than 0.4 s of a core, and nothing in it waits: what else runs on
    the machine does not count."""
    times = []
    for _ in range(3):
        before = os.times()
        assert called(tmp_path, "--help").code == 0
        after = os.times()
        times.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )

    assert min(times) < 0.4


def test_help_imports_no_heavy_library() -> None:
    """What only some commands need is imported by those commands."""
    heavy = ("azure", "duckdb", "fastapi", "httpx", "pydantic", "rich", "sqlalchemy")
    code = f"import sys, console.cli; print([n for n in {heavy} if n in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(fleet: Fleet, name: str) -> None:
    """Every command has a help with examples that begin with the command itself."""
    done = fleet(name, "--help")

    assert done.code == 0
    assert f"Usage: fleet {name}" in done.out
    assert "Examples:\n" in done.out
    assert f"fleet {name}" in done.out.partition("Examples:")[2]


def test_a_typing_error_is_exit_2(fleet: Fleet) -> None:
    """Wrong usage ends with 2 and says how to get help."""
    done = fleet("runs", "--limit", "many")

    assert done.code == 2
    assert "fleet runs --help" in done.err
    assert "--limit" in done.err


def test_no_ledger_is_exit_3_and_one_line(fleet: Fleet) -> None:
    """Where nothing was ever started, a command says what to do, and 3 tells a script."""
    done = fleet("runs")

    assert done.code == 3
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert "fleet up" in done.err


def test_an_unknown_run_is_exit_2(fleet: Fleet, home: Home) -> None:
    """A run that is not there is the asker's mistake: 2, one line, no traceback."""
    home.run(1)

    done = fleet("run", "ffff")

    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "ffff" in done.err


def test_debug_shows_the_traceback(fleet: Fleet, home: Home) -> None:
    """--debug shows where an error came from; without it nobody has to read that."""
    home.run(1)

    plain, debugged = fleet("run", "ffff"), fleet("--debug", "run", "ffff")

    assert "Traceback" not in plain.err
    assert "Traceback" in debugged.err
    assert debugged.code == plain.code


def test_settings_at_fault_are_told_together(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fault of the environment is told in one go, and the exit code is 2."""
    monkeypatch.setenv("FLEET_HTTP_PORT", "no port")
    monkeypatch.setenv("FLEET_NONESUCH", "1")

    done = fleet("config")

    assert done.code == 2
    assert "FLEET_HTTP_PORT" in done.err
    assert "FLEET_NONESUCH" in done.err


def test_what_is_no_ledger_is_exit_3(fleet: Fleet, home: Home) -> None:
    """A file that is not the fleet's ledger is told in one line, without SQL."""
    home.folder.mkdir(parents=True, exist_ok=True)
    (home.folder / "ledger.db").touch()

    done = fleet("runs")

    assert done.code == 3
    assert done.err.count("\n") == 1
    assert "SELECT" not in done.err


def test_submitting_to_nobody_is_exit_3(fleet: Fleet) -> None:
    """Without a stack and without --wait, `submit` says how to get one."""
    done = fleet("submit", "guarantee_report")

    assert done.code == 3
    assert "fleet up" in done.err
    assert "--wait" in done.err


def test_a_dispatcher_that_is_not_there_is_exit_3(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispatcher that was named and does not answer is said to be unreachable."""
    monkeypatch.setenv("FLEET_HTTP_PORT", "9")

    done = fleet("submit", "guarantee_report")

    assert done.code == 3
    assert "does not answer" in done.err


def test_a_reader_that_has_enough_is_no_fault(home: Home) -> None:
    """`fleet runs | head` ends without a complaint."""
    for number in range(3):
        home.run(number)
    line = f"{sys.executable} -m console.cli runs --json | head -n 1"

    done = subprocess.run(
        ["/bin/sh", "-c", line],
        capture_output=True,
        text=True,
        env=environment(home.folder),
        cwd=PROJECT,
        check=False,
    )

    assert json.loads(done.stdout)["pipeline"] == "guarantee_report"
    assert done.stderr == ""
