"""Replicas, pods, restarts and events of each lane, by five lists however many lanes there are."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from contracts.scale import Shape
from fleet.cluster.cluster import Cluster
from fleet.cluster.names import (
    COMPONENT,
    DELETION_COST,
    KEDA_GROUP,
    KEDA_VERSION,
    LANE_LABEL,
    NAME,
    PART,
    PAUSED,
    PAUSED_BY,
    PAUSED_REPLICAS,
    PAUSED_WHY,
    of_lane,
)
from fleet.cluster.rows import ClusterLane, EventRow, PodRow

_OURS = f"{PART}={NAME}"
_EVENTS = 20
"""At most so many of a lane."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def look(cluster: Cluster, lanes: Iterable[str]) -> list[ClusterLane]:
    """The lanes named, in that order, as the cluster has them now. Blocks for some round trips.

    Raises ClusterUnavailable or ClusterRefused.
    """
    space, ours = cluster.namespace, {"label_selector": _OURS}
    deployed = _by_lane(
        cluster.all("deployments", cluster.apps.list_namespaced_deployment, space, **ours)
    )
    pods = cluster.all("pods", cluster.core.list_namespaced_pod, space, **ours)
    objects = _by_lane(_scalers(cluster, "scaledobjects"))
    jobs = _by_lane(_scalers(cluster, "scaledjobs"))
    events = cluster.all("events", cluster.core.list_namespaced_event, space)
    by_lane = defaultdict(list)
    for pod in pods:
        by_lane[(pod.metadata.labels or {}).get(LANE_LABEL)].append(pod_row(pod))
    names = list(lanes)
    told = _events_by_lane(events, names)
    return [
        _lane(
            name,
            deployed.get(name),
            objects.get(name),
            jobs.get(name),
            pods=tuple(sorted(by_lane[name], key=lambda row: row.name)),
            events=tuple(told[name]),
        )
        for name in names
    ]


def pod_row(pod: Any) -> PodRow:
    """A pod of the client's as a row."""
    meta, status = pod.metadata, pod.status
    containers = (status.container_statuses if status else None) or []
    cost = (meta.annotations or {}).get(DELETION_COST, "")
    return PodRow(
        name=meta.name,
        phase="Terminating" if meta.deletion_timestamp else (status and status.phase) or "Unknown",
        ready=bool(containers) and all(container.ready for container in containers),
        restarts=sum(container.restart_count for container in containers),
        busy=cost != "0" if cost else None,
        alone=(meta.labels or {}).get(COMPONENT) == "lane-alone",
        node=pod.spec.node_name if pod.spec else None,
        started=status.start_time if status else None,
        why=next(filter(None, map(_why, containers)), "") or (status and status.reason) or "",
    )


def _why(container: Any) -> str:
    """Why a container waits, or how it last ended badly."""
    state, last = container.state, container.last_state
    if state and state.waiting and state.waiting.reason:
        return str(state.waiting.reason)
    for ended in (state and state.terminated, last and last.terminated):
        if ended and ended.exit_code:
            return f"{ended.reason or 'ended'} ({ended.exit_code})"
    return ""


def _lane(
    name: str,
    deployment: Any,
    scaled: Any,
    jobs: Any,
    *,
    pods: tuple[PodRow, ...],
    events: tuple[EventRow, ...],
) -> ClusterLane:
    scaler = scaled or jobs
    spec = scaler["spec"] if scaler else {}
    notes = (scaler["metadata"].get("annotations") or {}) if scaler else {}
    told = [pod for pod in pods if not pod.alone]
    wanted = len([pod for pod in told if pod.phase in ("Pending", "Running")])
    if deployment is not None:
        wanted = (deployment.spec and deployment.spec.replicas) or 0
    shape = Shape.JOB if jobs else Shape.DEPLOYMENT if deployment is not None else None
    return ClusterLane(
        lane=name,
        shape=shape,
        replicas=wanted,
        ready=sum(pod.ready and pod.phase == "Running" for pod in told),
        least=spec.get("minReplicaCount", 0) if scaler else None,
        most=spec.get("maxReplicaCount") if scaler else None,
        paused=notes.get(PAUSED, "").casefold() == "true" or PAUSED_REPLICAS in notes,
        paused_by=notes.get(PAUSED_BY),
        paused_why=notes.get(PAUSED_WHY),
        scaler_fault=_fault(scaler) if scaler else None,
        restarts=sum(pod.restarts for pod in pods),
        pods=pods,
        events=events,
    )


def _fault(scaler: dict[str, Any]) -> str | None:
    """Of KEDA's conditions, the one that says it cannot scale."""
    for condition in scaler.get("status", {}).get("conditions") or []:
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            return str(condition.get("message") or condition.get("reason") or "not ready")
        if condition.get("type") == "Fallback" and condition.get("status") == "True":
            return str(condition.get("message") or "fallback: the queue cannot be counted")
    return None


def _scalers(cluster: Cluster, plural: str) -> list[Any]:
    call = cluster.custom.list_namespaced_custom_object
    where = (KEDA_GROUP, KEDA_VERSION, cluster.namespace, plural)
    return cluster.all(plural, call, *where, label_selector=_OURS)


def _by_lane(objects: Iterable[Any]) -> dict[str, Any]:
    """By the lane that they are labelled with; the one named for it where there are several."""
    found: dict[str, Any] = {}
    for one in objects:
        meta = one["metadata"] if isinstance(one, dict) else one.metadata
        labels = meta.get("labels") if isinstance(meta, dict) else meta.labels
        lane = (labels or {}).get(LANE_LABEL)
        if lane is not None:
            found[lane] = one
    return found


def _events_by_lane(events: list[Any], lanes: list[str]) -> dict[str, list[EventRow]]:
    """Pods are gone before their events are: an event belongs to the lane that its object's name
    begins with, the longest such name first."""
    found: dict[str, list[EventRow]] = {lane: [] for lane in lanes}
    longest = sorted(lanes, key=len, reverse=True)
    for event in events:
        name = (event.involved_object.name or "").removeprefix("keda-hpa-")
        for lane in longest:
            if name == of_lane(lane) or name.startswith(f"{of_lane(lane)}-"):
                found[lane].append(_event_row(event))
                break
    for rows in found.values():
        rows.sort(key=lambda row: row.at or _LONG_AGO, reverse=True)
        del rows[_EVENTS:]
    return found


def _event_row(event: Any) -> EventRow:
    series = event.series
    at = (series and series.last_observed_time) or event.last_timestamp or event.event_time
    return EventRow(
        at=at or event.metadata.creation_timestamp,
        warning=event.type == "Warning",
        reason=event.reason or "",
        about=f"{event.involved_object.kind or ''} {event.involved_object.name or ''}".strip(),
        message=event.message or "",
        count=(series and series.count) or event.count or 1,
    )
