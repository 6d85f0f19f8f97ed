"""The site: everything that one worker process works with, built once in `__main__`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.trace import Tracer

from contracts.payload import PayloadRegistry
from fleet.artifacts.store import ArtifactStore
from fleet.bus.bus import Bus
from fleet.clock import Clock
from fleet.ledger.ledger import Ledger
from policies.gate import PolicyGate
from policies.live import LiveGate
from workers.apart import Apart
from workers.faultpoints import Point, passed
from workers.leases import LeaseKeeper
from workers.relays import Relays
from workers.runner import HandlerRunner
from workers.stages.handler import StageHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Ports and values of one worker; an executor step takes what it needs from here."""

    worker: str
    """Unique per start."""
    bus: Bus
    ledger: Ledger
    store: ArtifactStore
    gate: PolicyGate | LiveGate
    registry: PayloadRegistry
    handlers: Mapping[tuple[str, int], StageHandler]
    leases: LeaseKeeper
    relays: Relays
    runner: HandlerRunner
    clock: Clock
    chance: Callable[[], float]
    """In [0, 1), for jitter."""
    tracer: Tracer
    sources_file: Path
    scratch: Path
    code_version: str
    rules_patience: float = 20.0
    """Seconds that a task waits for rules as new as those that admitted its run."""
    apart: Apart | None = None
    """Hands tasks that ask for it to pods of their own; None where there are none."""
    point: Point = passed
    """Told of each numbered point that a delivery passes; does something only under test."""
