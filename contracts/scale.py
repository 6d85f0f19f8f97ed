"""How a lane scales on Kubernetes, as its `[<lane>.scale]` table in fleet/lanes.toml says it."""

import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.fact import StrictFact

Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(m|Mi|Gi)?$")]
"""A Kubernetes quantity of CPU or memory: `500m`, `2`, `512Mi`, `2Gi`."""


class Shape(StrEnum):
    """What runs a lane's workers on Kubernetes."""

    DEPLOYMENT = "deployment"  # pods that stay, more or fewer of them: short tasks
    JOB = "job"  # pods that end when the queue is empty: long tasks, which no scale-down may hit


class Scale(StrictFact):
    """Limits and sizes of one lane's pods. Times in seconds."""

    shape: Shape = Shape.DEPLOYMENT
    min_replicas: int = Field(default=0, ge=0, le=1000)
    max_replicas: int = Field(default=10, ge=1, le=1000)
    critical: bool = False
    """Whether pods are always there, and take the place of others when nodes are full."""
    service: float = Field(default=1.0, gt=0)
    """The mean time of an attempt, measured (bench/autoscale)."""
    wait: float = Field(default=30.0, gt=0)
    """How long a message may wait while the lane keeps up."""
    drain: float = Field(default=25.0, ge=0, le=86_400)
    """How long running attempts may go on once a pod is told to stop."""
    cpu: Quantity = "500m"
    memory: Quantity = "1Gi"
    scratch: Quantity = "4Gi"
    """Disk of a pod, for inputs, outputs and spilled queries."""
    spot: bool = False
    """Whether pods may run on nodes that are taken away at 30 seconds' notice."""
    sources: bool = False
    """Whether handlers read source systems: only then is sources.toml there."""
    ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = ()
    """TCP ports that handlers reach beyond the fleet's own (443, 1433, 5671)."""
    isolation: bool = False
    """Whether a task may ask for a pod of its own."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is above max_replicas")
        if self.critical and self.min_replicas < 1:
            # KEDA that cannot read the queue's depth scales to `min`, and 0 is then no lane at all.
            raise ValueError("a critical lane needs min_replicas of 1 or more")
        if self.critical and self.spot:
            raise ValueError("a critical lane does not run on spot nodes")
        if self.shape is Shape.JOB and self.min_replicas:
            raise ValueError("a lane of jobs has min_replicas 0: a job that waits never ends")
        return self

    def message_count(self, concurrency: int) -> int:
        """Messages a pod for which KEDA asks: those it has in hand, and those it can begin within
        `wait`. KEDA counts locked messages as waiting, so the ones in hand are among them.
        """
        return max(1, math.floor(concurrency * (1 + self.wait / self.service)))
