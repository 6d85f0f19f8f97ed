"""What a stage handler is given and what it must give back.

A handler is a plain function: it reads the workbench's inputs and files, writes into its scratch
folder, and returns what it produced. It stores nothing, sends nothing and reads no clock: the
executor gates and records what it returns. Everything here can be pickled, for the process lanes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from contracts.artifact import ArtifactPointer, Scope
from contracts.outcome import Failed, Fault, FaultKind, Produced
from contracts.payload import Payload
from workers.stages.scratch import Scratch


class Signals(Protocol):
    """The handler's line to the executor while it runs."""

    def cancelled(self) -> bool:
        """Whether to stop: cancelled, past its deadline, or the lease is lost. Ask often."""

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say how far the work is. Cheap; calls are thinned out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """An input artifact, and where its bytes can be read on this machine. Never write to it."""

    pointer: ArtifactPointer
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """Everything that a handler may use."""

    payload: Payload
    inputs: Mapping[str, Sequence[InputFile]]
    """By stage name; within a stage ordered by partition, then name. Those of a stage so wide that
    they were gathered are read from a file each time, ordered by audience first."""
    files: Mapping[str, Path]
    """The pipeline's files named in the payload, by relative path."""
    sources: Mapping[str, str]
    """Addresses of the sources named in the payload: a SQLAlchemy URL or a folder. Secret."""
    scope: Scope
    folder: Scratch
    signals: Signals

    @property
    def scratch(self) -> Path:
        """A folder of this attempt alone; outputs are written here. Nothing is in it but what
        begins with a dot. Made when it is first asked for."""
        return self.folder.path


class StageFault(Exception):
    """Raised by a handler to fail with a stated fault; `evidence` files may come along."""

    def __init__(self, kind: FaultKind, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.fault = Fault(kind=kind, code=code, message=message, facts=facts)


Run = Callable[[Workbench], Produced | Failed]
AsyncRun = Callable[[Workbench], Awaitable[Produced | Failed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHandler:
    """A payload class and the function that carries it out."""

    payload: type[Payload]
    run: Run | AsyncRun
