"""What operators do to lanes on the cluster: pause, resume, drain a pod."""

from contracts.lane import Lane
from contracts.scale import Shape
from fleet.cluster.cluster import Cluster
from fleet.cluster.errors import ClusterRefused, ClusterUnavailable, DrainRefused
from fleet.cluster.names import (
    KEDA_GROUP,
    KEDA_VERSION,
    PAUSED,
    PAUSED_BY,
    PAUSED_REPLICAS,
    PAUSED_WHY,
    of_lane,
)

_TOO_MANY = 429


def pause(cluster: Cluster, lane: Lane, *, actor: str, reason: str, keep: bool = False) -> None:
    """Have no pods for the lane until it is resumed; those there are drain and go. With `keep`
    they stay as they are, and only their number is frozen. Of a lane of jobs, those that run end
    by themselves and no more are started. Twice is harmless.

    Raises ClusterUnavailable or ClusterRefused.
    """
    frozen = keep or lane.scale.shape is Shape.JOB
    notes = {
        PAUSED: "true" if frozen else None,
        PAUSED_REPLICAS: None if frozen else "0",
        PAUSED_BY: actor,
        PAUSED_WHY: reason,
    }
    _annotate(cluster, lane, f"pausing {lane.name}", notes)


def resume(cluster: Cluster, lane: Lane) -> None:
    """Let KEDA scale the lane again. Twice is harmless. Raises as `pause`."""
    notes = dict.fromkeys((PAUSED, PAUSED_REPLICAS, PAUSED_BY, PAUSED_WHY))
    _annotate(cluster, lane, f"resuming {lane.name}", notes)


def drain(cluster: Cluster, pod: str) -> None:
    """Have a pod end: its worker takes nothing more, finishes or hands back what it has, and goes;
    its Deployment starts another. Honours the disruption budget.

    Raises DrainRefused, ClusterUnavailable or ClusterRefused.
    """
    from kubernetes import client

    eviction = client.V1Eviction(
        metadata=client.V1ObjectMeta(name=pod, namespace=cluster.namespace)
    )
    call = cluster.core.create_namespaced_pod_eviction
    try:
        # Asked once: a budget is not met sooner by asking often.
        cluster.ask(f"draining {pod}", call, pod, cluster.namespace, eviction)
    except ClusterUnavailable as cause:
        if getattr(cause.__cause__, "status", None) != _TOO_MANY:
            raise
        raise DrainRefused(f"{cause}; try again once another pod of its lane is ready") from cause


def _annotate(cluster: Cluster, lane: Lane, what: str, notes: dict[str, str | None]) -> None:
    plural = "scaledjobs" if lane.scale.shape is Shape.JOB else "scaledobjects"
    try:
        cluster.change(
            what,
            cluster.custom.patch_namespaced_custom_object,
            KEDA_GROUP,
            KEDA_VERSION,
            cluster.namespace,
            plural,
            of_lane(lane.name),
            {"metadata": {"annotations": notes}},
            _content_type="application/merge-patch+json",
        )
    except ClusterRefused as refused:
        if refused.status != 404:
            raise
        raise ClusterRefused(
            f"{what}: there is no {plural[:-1]} {of_lane(lane.name)} in {cluster.namespace}", 404
        ) from refused
