"""The whole stack as processes: `fleet up`, and what one does with it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from console.stack.record import ProcessMark, StackRecord, read_record
from fleet.ledger.reader import LedgerReader
from tests.console.conftest import PROJECT, Done, called, environment
from tests.console.waiting import until

TINY = """\
name: tiny
version: 1
description: Copies the files of a folder.
parameters:
  source: {type: source, required: true}
  count: {type: integer, default: 1}
stages:
  - name: files
    kind: mirror.files
    with:
      source: ${source}
      include: ["*.csv"]
"""
FAULTY = TINY.replace("name: tiny", "name: faulty").replace("mirror.files", "mirror.nothing")
FAULTY_LINE = 1 + FAULTY[: FAULTY.index("kind:")].count("\n")


@dataclass(frozen=True)
class Up:
    """A stack that `fleet up` keeps running."""

    home: Path
    process: subprocess.Popen[str]
    told: dict[str, Any]

    def fleet(self, *arguments: str) -> Done:
        return called(self.home, *arguments)

    def record(self) -> StackRecord:
        record = read_record(self.home / "stack.json")
        assert record is not None
        return record

    def record_reader(self) -> LedgerReader:
        return LedgerReader(f"sqlite:///{self.home / 'ledger.db'}")

    def process_of(self, name: str) -> ProcessMark:
        return next(mark for mark in self.record().processes if mark.name == name)


@contextlib.contextmanager
def running(home: Path, **settings: str) -> Iterator[Up]:
    process = subprocess.Popen(
        [sys.executable, "-m", "console.cli", "up", "--workers", "1", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home, settings),
        cwd=PROJECT,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            assert line, f"`fleet up` ended with {process.wait()}"
            yield Up(home, process, json.loads(line))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two pipelines: `tiny`, and `faulty` with a stage kind that does not exist."""
    folder = tmp_path_factory.mktemp("pipelines")
    for name, text in (("tiny", TINY), ("faulty", FAULTY)):
        (folder / name).mkdir()
        (folder / name / "pipeline.yaml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that can be given as a source."""
    folder = tmp_path_factory.mktemp("very-private-place")
    (folder / "claims.csv").write_text("claim,paid\nC-1,10.00\n")
    return folder


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, pipelines: Path) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up"), FLEET_PIPELINES=str(pipelines)) as stack:
        yield stack


def test_commands_find_the_stack(up: Up) -> None:
    """Without being told a port, `config` shows the running stack's, and `lanes` asks its bus."""
    config = json.loads(up.fleet("config", "--json").out)
    lanes = [json.loads(line) for line in up.fleet("lanes", "--json").out.splitlines()]

    port = {"value": str(up.told["http_port"]), "origin": "stack"}
    assert config["settings"]["FLEET_HTTP_PORT"] == port
    assert {row["bus"]["active"] for row in lanes} == {0}


def test_a_stack_that_runs_is_sound(up: Up) -> None:
    """`fleet doctor` finds nothing to do about a stack as `fleet up` starts it."""
    done = up.fleet("doctor")

    assert (done.code, done.out.splitlines()[-1]) == (0, "all is well")


def test_a_run_is_submitted_and_waited_for(up: Up, claims: Path) -> None:
    """`submit --wait --json` is one object: the run, how it ended, and what it made."""
    done = up.fleet("submit", "tiny", "--param", f"source={claims}", "--wait", "--json")

    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["state"], told["tasks"], told["faults"]) == ("succeeded", 1, [])
    assert [row["pointer"]["name"] for row in told["artifacts"]] == ["claims.csv"]


def test_where_a_source_lies_stays_on_this_machine(up: Up, claims: Path) -> None:
    """After a submit with a folder and one with a URL, neither path nor password is in the ledger,
    the bus, the artifacts or the logs."""
    up.fleet("submit", "tiny", "--param", f"source={claims}", "--wait")
    url = "postgresql://ada:hunter2@127.0.0.1:9/claims"

    failed = up.fleet("submit", "tiny", "--param", f"source={url}", "--wait", "--json")

    assert failed.code == 1
    assert "hunter2" not in failed.out + failed.err
    for secret in (str(claims), "hunter2"):
        assert _files_with(up.home, secret.encode()) == {"sources.toml"}


def test_the_same_key_is_the_same_run(up: Up, claims: Path) -> None:
    """Asking twice with one key starts one run, and the second answer says so."""
    ask = ("submit", "tiny", "--param", f"source={claims}", "--key", "once", "--json")

    first, second = json.loads(up.fleet(*ask).out), json.loads(up.fleet(*ask).out)

    assert (first["created"], second["created"]) == (True, False)
    assert first["run"] == second["run"]


def test_a_faulty_pipeline_is_refused_with_its_line(up: Up, claims: Path) -> None:
    """What is wrong with a pipeline is told with its line, and the exit code is 2."""
    done = up.fleet("submit", "faulty", "--param", f"source={claims}", "--wait")

    assert done.code == 2
    assert f"pipeline.yaml line {FAULTY_LINE}: " in done.err
    assert "mirror.nothing" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("submit", "nonesuch"), "nonesuch"),
        (("submit", "tiny"), "source"),
        (("submit", "tiny", "--param", "source=unheard-of"), "unheard-of"),
        (("submit", "tiny", "--param", "source"), "name=value"),
        (("submit", "tiny", "--param", "source=.", "--param", "count=many"), "integer"),
        (("submit", "tiny", "--param", "source=.", "--tenant", "No Tenant"), "tenant"),
        (("submit", "tiny", "--param", "source=.", "--audience", "world"), "audience"),
        (("submit", "tiny", "--param", "source=.", "--timeout", "3"), "--wait"),
    ],
)
def test_a_request_that_is_wrong_is_exit_2(up: Up, arguments: tuple[str, ...], words: str) -> None:
    """A refused request says what is wrong in words, without a traceback."""
    done = up.fleet(*arguments)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_home_has_one_stack(up: Up) -> None:
    """A second `fleet up` on the same home is refused and names what runs."""
    done = up.fleet("up")

    assert done.code == 2
    assert "fleet down" in done.err
    assert str(up.process_of("worker-1").pid) in done.err


@pytest.mark.parametrize("name", ["worker-1", "dispatcher", "localbus"])
def test_what_dies_is_started_again(up: Up, claims: Path, name: str) -> None:
    """After a kill of any process the stack works on, at the same addresses."""
    before = up.process_of(name)
    os.kill(before.pid, signal.SIGKILL)

    until(lambda: up.process_of(name) != before)

    until(lambda: up.fleet("submit", "tiny", "--param", f"source={claims}").code == 0)
    done = up.fleet("submit", "tiny", "--param", f"source={claims}", "--wait", "--timeout", "60")
    assert done.code == 0, done.err


def test_down_stops_it_all(tmp_path: Path) -> None:
    """`fleet down` ends the `fleet up` elsewhere and every process of the stack, and forgets it."""
    with running(tmp_path) as stack:
        marks = stack.record().processes

        done = stack.fleet("down")

        assert done.code == 0
        assert stack.process.wait(30) == 0
        assert not any(mark.alive for mark in marks)
        assert not (tmp_path / "stack.json").exists()
        assert stack.fleet("down").code == 0


def test_a_stack_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    """After a kill of `fleet up` itself the stack still serves, and `down` stops all of it."""
    with running(tmp_path) as stack:
        marks = stack.record().processes
        stack.process.kill()
        stack.process.wait(30)

        lanes, down = stack.fleet("lanes", "--json"), stack.fleet("down")

        assert json.loads(lanes.out.splitlines()[0])["bus"]["active"] == 0
        assert down.code == 0
        assert not any(mark.alive for mark in marks)


def test_a_failing_process_is_shown(tmp_path: Path) -> None:
    """A stack that cannot start shows the end of the log of what failed, and leaves nothing."""
    lanes = tmp_path / "lanes.toml"
    lanes.write_text('[mirror]\nkinds = ["mirror.sql"]\n')
    rules = tmp_path / "rules"
    rules.mkdir()

    done = called(tmp_path, "up", FLEET_RULES=str(rules))

    assert done.code == 3
    assert "while starting; the end of" in done.err
    assert "Traceback" not in done.err.partition("the end of")[0]
    assert not (tmp_path / "stack.json").exists()


def test_waiting_without_a_stack_starts_one(tmp_path: Path, pipelines: Path, claims: Path) -> None:
    """`submit --wait` on a fresh home just works, says so on stderr, and leaves nothing running."""
    ask = ("submit", "tiny", "--param", f"source={claims}", "--wait", "--json")

    done = called(tmp_path, *ask, FLEET_PIPELINES=str(pipelines))

    assert done.code == 0, done.err
    assert json.loads(done.out)["state"] == "succeeded"
    assert "starting one for this command" in done.err
    assert not (tmp_path / "stack.json").exists()


def _files_with(folder: Path, secret: bytes) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and secret in path.read_bytes()
    }
