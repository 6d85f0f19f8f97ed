"""A worker's word about its own pod: how dear it is to lose."""

from fleet.cluster.cluster import Cluster
from fleet.cluster.names import DELETION_COST


class OwnPod:
    """The pod that this process runs in."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self._name = cluster, name

    def dear(self, *, busy: bool) -> None:
        """A scale-down takes the pods first that say the lowest number. Blocks for a round trip.

        Raises ClusterUnavailable or ClusterRefused.
        """
        body = {"metadata": {"annotations": {DELETION_COST: "1" if busy else "0"}}}
        self._cluster.change(
            f"annotating {self._name}",
            self._cluster.core.patch_namespaced_pod,
            self._name,
            self._cluster.namespace,
            body,
            _content_type="application/merge-patch+json",
        )
