"""stack.json and the secret beside it."""

import os
import stat
import subprocess
from pathlib import Path

from console.stack.record import (
    SECRET_FILE,
    ProcessMark,
    StackRecord,
    forget,
    read_record,
    read_secret,
    write_secret,
)


def a_record(*marks: ProcessMark) -> StackRecord:
    return StackRecord(processes=marks, http_host="127.0.0.1", http_port=1)


def test_a_record_is_read_while_something_of_it_runs(tmp_path: Path) -> None:
    """A record whose processes have all ended is no stack."""
    path = tmp_path / "stack.json"
    mine = ProcessMark.of("me", os.getpid())

    a_record(mine).write(path)
    running = read_record(path)
    a_record(mine.model_copy(update={"born": "1"})).write(path)

    assert running == a_record(mine)
    assert read_record(path) is None


def test_a_process_is_not_taken_for_a_later_one() -> None:
    """The same number given to a later process is another process."""
    mine = ProcessMark.of("me", os.getpid())

    assert mine.alive
    assert not mine.model_copy(update={"born": "0"}).alive


def test_an_ended_process_is_not_alive() -> None:
    """Neither once it has gone, nor while its parent has not asked for it."""
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    mark = ProcessMark.of("cat", process.pid)
    assert mark.alive

    process.communicate()

    assert not mark.alive


def test_no_record_and_a_broken_one_are_no_stack(tmp_path: Path) -> None:
    """What is not there, or was written by something else, is not a stack and not an error."""
    path = tmp_path / "stack.json"
    assert read_record(path) is None

    path.write_text('{"processes": 3}')

    assert read_record(path) is None


def test_the_connection_string_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The file of the connection string can be read by its owner only, also when it was there."""
    (tmp_path / SECRET_FILE).write_text("old")
    (tmp_path / SECRET_FILE).chmod(0o644)

    write_secret(tmp_path, "Endpoint=sb://x;SharedAccessKey=k")

    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600
    assert read_secret(tmp_path) == "Endpoint=sb://x;SharedAccessKey=k"


def test_forgetting_leaves_nothing(tmp_path: Path) -> None:
    """After a stop neither record nor secret is left; forgetting twice is harmless."""
    a_record(ProcessMark.of("me", os.getpid())).write(tmp_path / "stack.json")
    write_secret(tmp_path, "x")

    forget(tmp_path / "stack.json")
    forget(tmp_path / "stack.json")

    assert list(tmp_path.iterdir()) == []
