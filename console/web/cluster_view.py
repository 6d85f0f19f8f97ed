"""The lanes' replicas as the cluster tells them, where one is set; no page waits for the cluster.

The Kubernetes client is imported with the first question, and never where no cluster is set.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts.lane import LaneTable
from fleet.clock import Clock
from fleet.cluster.errors import ClusterRefused
from fleet.cluster.rows import ClusterLane
from fleet.errors import FleetError
from fleet.settings import Settings

FRESH = timedelta(seconds=5)
"""How old an answer may be before the cluster is asked again: it is five lists."""
_log = logging.getLogger("console")
Ask = Callable[[], Mapping[str, ClusterLane]]


@dataclass(frozen=True, slots=True)
class Replicas:
    """What the cluster said last."""

    lanes: Mapping[str, ClusterLane] = field(default_factory=dict)
    """Those that are deployed, by name."""
    at: datetime | None = None
    """When; None where it never answered, and where no cluster is set."""
    trouble: str = ""
    """Why it did not answer the last time."""


class ClusterView:
    """Asks in a thread of its own, one question at a time. `ask`: None where no cluster is set."""

    def __init__(self, ask: Ask | None, clock: Clock) -> None:
        self._ask, self._clock = ask, clock
        self._told = Replicas()
        self._tried: datetime | None = None
        self._asking = threading.Lock()

    @property
    def is_set(self) -> bool:
        """Whether there is a cluster to ask."""
        return self._ask is not None

    def replicas(self) -> Replicas:
        """What is known now. Where that is old, the cluster is asked: the next look sees more."""
        if self._ask is not None and self._stale() and self._asking.acquire(blocking=False):
            threading.Thread(target=self._asked, args=(self._ask,), daemon=True).start()
        return self._told

    def refreshed(self) -> Replicas:
        """What the cluster said at most FRESH ago. Waits for it."""
        if self._ask is not None:
            self._asking.acquire()
            self._asked(self._ask)
        return self._told

    def _stale(self) -> bool:
        return self._tried is None or self._clock.now() - self._tried > FRESH

    def _asked(self, ask: Ask) -> None:
        """Ask, unless somebody has meanwhile; gives the lock back."""
        try:
            if not self._stale():
                return
            self._tried = self._clock.now()
            self._told = Replicas(lanes=ask(), at=self._clock.now())
        except FleetError as cause:  # the cluster is not this page's to mend; it is said on it
            trouble = f"no replicas: {told_of(cause)}"
            _log.warning("%s", trouble)
            self._told = Replicas(self._told.lanes, self._told.at, trouble)
        finally:
            self._asking.release()


def told_of(cause: FleetError) -> str:
    """What a page may say of it. A kubeconfig's faults name local files: not on a page."""
    if isinstance(cause, ClusterRefused) and cause.status is None:
        return "no way to the cluster; see FLEET_KUBECONFIG, and `fleet k8s status`"
    return str(cause)


def cluster_view(settings: Settings, lanes: LaneTable, clock: Clock) -> ClusterView:
    """Of the cluster that is set; of none where none is."""
    if (namespace := settings.cluster) is None:
        return ClusterView(None, clock)
    return ClusterView(lambda: _deployed(namespace, settings, [lane.name for lane in lanes]), clock)


def _deployed(namespace: str, settings: Settings, lanes: Sequence[str]) -> dict[str, ClusterLane]:
    """Raises ClusterUnavailable, ClusterRefused."""
    from fleet.cluster.cluster import open_cluster
    from fleet.cluster.look import look

    with open_cluster(namespace=namespace, kubeconfig=settings.kubeconfig) as cluster:
        return {row.lane: row for row in look(cluster, lanes) if row.shape is not None}
