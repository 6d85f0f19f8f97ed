"""Lanes: a queue with the stages it serves, how its handlers run, and their limits."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.fact import StrictFact
from contracts.limit import Limit
from contracts.scale import Scale

LaneName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,49}$")]


class Mode(StrEnum):
    """Where a lane's handlers run."""

    ASYNC = "async"  # on the event loop
    THREAD = "thread"  # in a thread: I/O, or libraries that release the interpreter lock
    PROCESS = "process"  # in a pool of processes: pure Python computing


class RetryRules(StrictFact):
    """Limits of trying again. Times in seconds."""

    max_attempts: int = Field(default=4, ge=1, le=100)
    first_delay: float = Field(default=1.0, gt=0)
    factor: float = Field(default=3.0, ge=1)
    longest_delay: float = Field(default=300.0, gt=0)


class Lane(StrictFact):
    """One lane, as fleet/lanes.toml says it. Times in seconds."""

    name: LaneName
    kinds: tuple[str, ...] = Field(min_length=1)
    """Stage kinds served, e.g. `mirror.sql`."""
    mode: Mode = Mode.THREAD
    concurrency: int = Field(default=4, ge=1, le=1000)
    """Attempts at the same time in one worker process."""
    timeout: float = Field(default=300.0, gt=0)
    """The longest that one attempt may take."""
    memory_mb: int | None = Field(default=None, ge=64)
    """MiB that a handler's process may take, in mode `process`; one that takes more is ended, and
    its task fails alone. None: as much as there is."""
    lease: float = Field(default=30.0, gt=0)
    """How long a silent worker keeps an attempt."""
    mutates: bool = False
    """Whether handlers here may write to a source system."""
    high_risk: bool = False
    """Whether what runs here needs two people's approval, and working hours."""
    tenants: tuple[str, ...] = ("*",)
    retry: RetryRules = RetryRules()
    scale: Scale = Scale()
    """On Kubernetes; nothing else reads it."""
    limits: tuple[Limit, ...] = Field(default=(), max_length=10)
    """What the whole fleet may run here at the same time, or start in a span of time."""

    @model_validator(mode="after")
    def _only_a_process_has_memory_of_its_own(self) -> Self:
        if self.memory_mb is not None and self.mode is not Mode.PROCESS:
            raise ValueError("memory_mb needs mode = 'process'")
        return self

    @property
    def queue(self) -> str:
        return f"lane-{self.name}"

    @property
    def message_count(self) -> int:
        """Messages for which one pod is asked for."""
        return self.scale.message_count(self.concurrency)


class LaneTable:
    """All lanes, found by name and by stage kind.

    Raises ValueError when two lanes share a name or claim the same kind.
    """

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._by_name: dict[str, Lane] = {}
        self._by_kind: dict[str, Lane] = {}
        for lane in lanes:
            if lane.name in self._by_name:
                raise ValueError(f"two lanes are named {lane.name!r}")
            self._by_name[lane.name] = lane
            for kind in lane.kinds:
                if kind in self._by_kind:
                    raise ValueError(
                        f"kind {kind!r} is served by {self._by_kind[kind].name!r} and {lane.name!r}"
                    )
                self._by_kind[kind] = lane

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._by_name.values())

    def named(self, name: str) -> Lane:
        """Raises KeyError with the known names."""
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(
                f"no lane {name!r}; there are {', '.join(sorted(self._by_name))}"
            ) from None

    def serving(self, kind: str) -> Lane | None:
        """The lane of a stage kind, or None where no lane serves it."""
        return self._by_kind.get(kind)
