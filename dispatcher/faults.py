"""What is wrong with what was asked, in words and with the line of pipeline.yaml to look at.

FleetError
├── PipelineRefused     the pipeline's own files are wrong: its owner must act
├── PipelineUnknown     no pipeline of that name is here
├── LaneUnknown         no lane of that name is in the lanes file
├── RequestRefused      the pipeline is right, what was asked of it is not: the requester must act
├── KeyConflict         the key belongs to a run that asked for something else
└── MessageGone         a message that was set aside is not on the bus (now)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.errors import FleetError


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class LineFault:
    """One thing that is wrong. `line` counts from 1 in pipeline.yaml."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class _Faulty(FleetError):
    def __init__(self, pipeline: str, faults: Iterable[LineFault]) -> None:
        self.pipeline = pipeline
        self.faults = tuple(sorted(set(faults)))
        told = "; ".join(str(fault) for fault in self.faults)
        super().__init__(f"{self.subject} {pipeline}: {told}")

    subject = "pipeline"


class PipelineRefused(_Faulty):
    """A pipeline.yaml or its folder cannot be used. Holds every fault; no run was started."""


class RequestRefused(_Faulty):
    """The parameters do not fit the pipeline, each fault with the line that says so."""

    subject = "request for"


class PipelineUnknown(FleetError):
    """No folder of the pipeline roots holds a pipeline of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.pipeline = name
        self.known = tuple(sorted(known))
        there = ", ".join(self.known) or "none"
        super().__init__(f"no pipeline named {name!r}; there are: {there}")


class LaneUnknown(FleetError):
    """The lanes file has no lane of this name."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no lane named {name!r}; there are: {', '.join(sorted(known))}")


class KeyConflict(FleetError):
    """This key has started a run already, and that run was asked for differently."""

    def __init__(self, key: str, run: str, differing: Sequence[str]) -> None:
        self.key, self.run, self.differing = key, run, tuple(differing)
        super().__init__(
            f"the key {key!r} has started run {run} already, with a different "
            f"{', '.join(differing)}; use a new key for a new request"
        )


class MessageGone(FleetError):
    """Dropped from where it lay, expired, or locked by somebody else. Nothing was sent."""

    def __init__(self, queue: str, sequence_number: int) -> None:
        super().__init__(
            f"message {queue}/{sequence_number} is not to be had on the bus: it was taken from "
            "there, expired, or is looked at by somebody else; nothing was sent"
        )
