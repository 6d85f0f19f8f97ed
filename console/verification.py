"""Verification of a run, by a worker process: the console runs no stage itself."""

import os
import subprocess
import sys
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from console.errors import Refused
from contracts.fact import Fact

_DIFFERS = 1
"""Exit code of a worker that found a difference; it answers as it does for none."""


class VerifiedTask(Fact):
    """One task, run again."""

    model_config = ConfigDict(frozen=True, extra="allow")

    task: str
    stage: str
    partition: str
    same: bool
    difference: str | None = None


class VerifiedRun(Fact):
    """What `python -m workers --verify` answers; fields that it adds are handed on."""

    model_config = ConfigDict(frozen=True, extra="allow")

    run: str
    same: bool
    checked: int
    skipped: int
    first_difference: VerifiedTask | None
    tasks: tuple[VerifiedTask, ...]

    @property
    def in_words(self) -> str:
        """A line of what was done, and one for each task that differs."""
        if not self.checked:
            return f"run {self.run}: nothing of it can be run again"
        word = "byte-same" if self.same else "DIFFERENT"
        lines = [
            f"run {self.run}: {self.checked} tasks run again, {word}; "
            f"{self.skipped} are not deterministic and were left out"
        ]
        for task in self.tasks:
            if not task.same:
                where = f"{task.stage}/{task.partition}" if task.partition else task.stage
                lines.append(f"  {where}: {task.difference}")
        return "\n".join(lines)


def verified(home: Path, run: str) -> VerifiedRun:
    """Run the deterministic stages of a run again, in a process of its own.

    Raises Refused where the worker could not do so, with what it said.
    """
    environment = {**os.environ, "FLEET_HOME": str(home.absolute())}
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "workers", "--verify", run, "--json"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (0, _DIFFERS):
        try:
            return VerifiedRun.model_validate_json(done.stdout)
        except ValidationError:
            pass  # it ended before it could answer: what it said is below
    last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise Refused(f"run {run} could not be verified: {last}")
