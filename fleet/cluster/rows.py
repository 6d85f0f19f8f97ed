"""What the cluster says of the lanes, as the console and `fleet k8s status` show it."""

from datetime import datetime

from contracts.fact import Fact
from contracts.scale import Shape


class PodRow(Fact):
    """One pod of a lane."""

    name: str
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown; Terminating once it is told to end."""
    ready: bool = False
    restarts: int = 0
    busy: bool | None = None
    """Whether it has attempts in hand, as its worker says; None where it says nothing."""
    alone: bool = False
    """Whether it is one task's own."""
    node: str | None = None
    started: datetime | None = None
    why: str = ""
    """Why it is not running, or why it last ended: ImagePullBackOff, OOMKilled."""


class EventRow(Fact):
    """Something that the cluster did or could not do, the last time it was so."""

    at: datetime | None
    warning: bool
    reason: str
    about: str
    """Kind and name of what it is about."""
    message: str
    count: int = 1


class ClusterLane(Fact):
    """One lane on the cluster."""

    lane: str
    shape: Shape | None = None
    """None where nothing of it is deployed."""
    replicas: int = 0
    """Pods that are wanted: of a lane of jobs, the jobs that run."""
    ready: int = 0
    least: int | None = None
    most: int | None = None
    paused: bool = False
    paused_by: str | None = None
    paused_why: str | None = None
    scaler_fault: str | None = None
    """What keeps KEDA from scaling it."""
    restarts: int = 0
    pods: tuple[PodRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    """The latest first."""
