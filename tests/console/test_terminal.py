"""What the commands that look write to a terminal: inert whatever the words, and no wider."""

import io
import json
import re
import signal
import subprocess
import sys

import pytest
from rich.cells import cell_len

from console.cli import main
from contracts.ids import task_id
from tests.console.conftest import PROJECT, Fleet, environment
from tests.console.ledgers import Home

MARKUP = "[bold red]not markup[/]"
STEERING = "<script>alert(1)</script> \x1b[2J\x1b]0;title\x07 \x9b31m \r \u202egnp \u2066 \u200b"
HOSTILE = f"{MARKUP} {STEERING} " + "long" * 25_000
"""Words of a hundred thousand characters that try to steer a terminal, and to be markup."""

COMMANDS = (
    "runs",
    "run RUN",
    "run RUN --tasks",
    "run HELD",
    "task BROKEN",
    "task DONE",
    "task HELD_TASK",
    "task DONE --logs",
    "artifacts RUN",
    "artifacts",
    "artifact RUN mirror.json --preview --verify",
    "lanes",
    "top --once",
    "workers",
    "tenants",
    "dead-letters",
    "dead-letters --groups",
    "redrives",
    "pauses",
    "slots",
    "redrives JOB --items",
    "approvals",
    "audit",
    "compare AGAIN RUN",
)
"""Every command that shows what others wrote."""
TEXT = ("policy explain DONE",)
"""Text that the terminal wraps."""
TELL = {"run RUN", "task BROKEN", "task DONE", "task DONE --logs", "dead-letters", "redrives"}
TELL |= {"approvals", "audit"}
"""Those that show the words of faults, facts, reasons and comments themselves."""


class Scene:
    """A home, and what the words of a command line stand for in it."""

    def __init__(self, home: Home) -> None:
        broken, held = home.run(1, broken=True), home.held(2)
        again = home.run(3, broken=True)
        home.dead_letter(home.words)
        home.worker("w-1", "mirror", "normalize")
        home.acts(home.run(4, broken=True))
        self.home = home
        self.names = {
            "RUN": broken,
            "HELD": held,
            "BROKEN": task_id(broken, "typed", "2024-02"),
            "DONE": task_id(broken, "mirror"),
            "HELD_TASK": task_id(held, "mirror"),
            "AGAIN": again,
            "JOB": "0",  # there is one, and ids of this century begin so
        }

    def words(self, command: str) -> list[str]:
        return [self.names.get(word, word) for word in command.split()]


class Terminal(io.TextIOWrapper):
    """A terminal of 80 columns that keeps what is written to it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8")

    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        """What was written, without the colours that are our own."""
        self.flush()
        return re.sub(r"\x1b\[[0-9;]*m", "", self._bytes.getvalue().decode())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    return made


def drawn(
    scene: Scene, command: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """The lines that a command writes to a terminal."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        patch.setenv("FLEET_HOME", str(scene.home.folder))
        with pytest.raises(SystemExit) as ended:
            main(scene.words(command))
    assert ended.value.code == 0
    return terminal.shown().splitlines()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    home = Home(tmp_path_factory.mktemp("hostile") / "home")
    home.words = HOSTILE
    home.facts = {STEERING: HOSTILE}
    home.parameters = {"client": HOSTILE, STEERING: 1}
    home.requester = "ada \u202egnp \x9b31m"
    return Scene(home)


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    home = Home(tmp_path_factory.mktemp("ordinary") / "home")
    home.words = "the claims export of 2026-01 has no column amount_cents; it was asked for at noon"
    return Scene(home)


@pytest.mark.parametrize("command", COMMANDS + TEXT)
def test_hostile_words_are_inert(
    command: str, hostile: Scene, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No escape, control or direction character passes, markup stays text, and a very long word
    is cut short; no line is wider than the terminal."""
    lines = drawn(hostile, command, terminal, monkeypatch)

    assert {c for line in lines for c in line if not c.isprintable()} == set()
    assert command in TEXT or max(map(cell_len, lines), default=0) <= 80
    assert sum(map(len, lines)) < 200 * 80
    if command in TELL:
        assert "\N{REPLACEMENT CHARACTER}" in "".join(lines)
        assert "[bold" in "".join(lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_fits_80_columns(
    command: str, ordinary: Scene, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider."""
    lines = drawn(ordinary, command, terminal, monkeypatch)

    assert max(map(cell_len, lines), default=0) <= 80


def test_an_id_in_a_narrow_table_is_enough(
    ordinary: Scene, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, fleet: Fleet
) -> None:
    """What stands in the column `run` at 80 columns is what `fleet run` takes; a run is a line."""
    lines = drawn(ordinary, "runs", terminal, monkeypatch)

    assert len(lines) == 1 + 4
    monkeypatch.setenv("FLEET_HOME", str(ordinary.home.folder))
    for line in lines[1:]:
        assert fleet("run", line.split()[1]).code == 0


def test_json_steers_no_terminal_either(
    hostile: Scene, monkeypatch: pytest.MonkeyPatch, fleet: Fleet
) -> None:
    """It is ASCII, and the words are whole once it is read."""
    monkeypatch.setenv("FLEET_HOME", str(hostile.home.folder))

    told = fleet("dead-letters", "--json").out

    assert told.isascii()
    assert "\x1b" not in told
    assert HOSTILE in [json.loads(line)["description"] for line in told.splitlines()]


def test_a_watched_list_tells_what_is_new(home: Home) -> None:
    """`--watch --json` tells a run once, the next when it comes, and ends at Ctrl-C."""
    first = home.run(1)
    command = [sys.executable, "-m", "console.cli", "runs", "--watch", "--every", "0.2", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(home.folder), cwd=PROJECT
    ) as process:
        assert process.stdout is not None
        try:
            told = [json.loads(process.stdout.readline())["run"]]
            second = home.run(2)
            while told[-1] != second:
                told.append(json.loads(process.stdout.readline())["run"])
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()

    assert told.count(first) == 1
