"""What the kernel says of a process and its children: their CPU, their memory."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time so far, of children that run as well. Linux only."""
    return _cpu_seconds(pid) + sum(cpu_seconds(child) for child in _children(pid))


def peak_mib(pid: int) -> float:
    """The most memory that it has had, and each of its children: at most their sum at one time."""
    return _peak_mib(pid) + sum(peak_mib(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    """Of all its threads."""
    return [
        int(child)
        for told in Path(f"/proc/{pid}/task").glob("*/children")
        for child in told.read_text(encoding="ascii").split()
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
