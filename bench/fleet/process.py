"""What the kernel says of a process: its CPU, its memory, its children."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time so far. Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak_mib(pid: int) -> float:
    """The most memory that it has had."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def children(pid: int) -> list[int]:
    """Those of all its threads, and theirs: a worker's is the process that writes its ledger."""
    own = [
        int(child)
        for told in Path(f"/proc/{pid}/task").glob("*/children")
        for child in told.read_text(encoding="ascii").split()
    ]
    return own + [one for child in own for one in children(child)]
