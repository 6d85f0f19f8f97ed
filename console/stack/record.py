"""stack.json: which processes of this machine are the stack, and where they listen.

Written whole or not at all, by whoever starts or restarts a process; read by every command. The
bus's connection string lies beside it in a file that only its owner can read.
"""

import contextlib
import os
from pathlib import Path

from pydantic import ValidationError

from contracts.fact import Fact

SECRET_FILE = "bus.connection"  # noqa: S105 - the name of the file, not what is in it


class ProcessMark(Fact):
    """One process, told from a later one that was given the same number."""

    name: str
    pid: int
    born: str | None = None
    """The kernel's start time of the process, where it tells one."""

    @classmethod
    def of(cls, name: str, pid: int) -> "ProcessMark":
        return cls(name=name, pid=pid, born=_birth(pid))

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return False  # somebody else's: the number was given again
        return _birth(self.pid) == self.born


class StackRecord(Fact):
    """A started stack. Without bus ports it uses a bus that is not its own. A port is 0 until the
    process that listens on it is ready."""

    processes: tuple[ProcessMark, ...]
    supervisor: ProcessMark | None = None
    """The `fleet up` that restarts what dies; none where the stack was left running."""
    http_host: str
    http_port: int
    console_host: str | None = None
    console_port: int | None = None
    bus_port: int | None = None
    bus_admin_port: int | None = None
    bus_certificate: str | None = None

    @property
    def alive(self) -> tuple[ProcessMark, ...]:
        return tuple(mark for mark in self.processes if mark.alive)

    def write(self, path: Path) -> None:
        replace(path, self.model_dump_json(indent=2) + "\n")


def read_record(path: Path) -> StackRecord | None:
    """The record of a stack of which something runs, else None."""
    try:
        record = StackRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None  # never started, stopped, or written by something else
    return record if record.alive else None


def write_secret(home: Path, connection: str) -> None:
    """Keep the connection string where only the owner of `home` can read it."""
    replace(home / SECRET_FILE, connection + "\n", mode=0o600)


def read_secret(home: Path) -> str | None:
    """The connection string of the started stack's own bus, if it has one."""
    try:
        return (home / SECRET_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def console_address(stack: StackRecord, home: Path) -> str:
    """Where a browser finds the console, with the key to log in behind the #, which is not sent."""
    from fleet.access.local import local_key

    return f"http://{stack.console_host}:{stack.console_port}/login#key={local_key(home)}"


def forget(path: Path) -> None:
    """The stack has stopped."""
    for left in (path, path.parent / SECRET_FILE):
        with contextlib.suppress(FileNotFoundError):
            left.unlink()


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()  # of a process that died; its mode may be another
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)


def _birth(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat, behind the name, which may hold anything. A zombie has none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
