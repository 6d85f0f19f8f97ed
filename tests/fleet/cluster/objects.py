"""Objects as a cluster would have them: from the committed manifests, with a status."""

from copy import deepcopy
from typing import Any

from fleet.cluster.names import of_lane
from tests.fleet.cluster.api_server import ApiServer
from tests.k8s.manifests import of_kind, template

Object = dict[str, Any]


def manifest(kind: str, name: str) -> Object:
    ((_, found),) = [f for f in of_kind(kind) if f[1]["metadata"]["name"] == name]
    return deepcopy(found)


def a_pod(lane: str, suffix: str, *, restarts: int = 0, **status: Any) -> Object:
    """A running pod of a lane, as its Deployment would make it."""
    made = template(manifest("Deployment", of_lane(lane)))
    container = {
        "name": "worker",
        "image": "leaf-fleet",
        "imageID": "",
        "ready": True,
        "restartCount": restarts,
        "state": {"running": {"startedAt": "2026-11-25T10:00:00Z"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": made["metadata"] | {"name": f"{of_lane(lane)}-{suffix}"},
        "spec": made["spec"] | {"nodeName": "node-1"},
        "status": {
            "phase": "Running",
            "startTime": "2026-11-25T10:00:00Z",
            "containerStatuses": [container],
        }
        | status,
    }


def an_event(kind: str, about: str, reason: str, at: str, *, warning: bool = True) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about}.{reason}".lower(), "namespace": "leaf-fleet"},
        "involvedObject": {"kind": kind, "name": about},
        "reason": reason,
        "message": f"{reason} it was",
        "type": "Warning" if warning else "Normal",
        "lastTimestamp": at,
        "count": 3,
    }


def deployed(server: ApiServer, lane: str, replicas: int) -> None:
    """A lane's Deployment and ScaledObject."""
    deployment = manifest("Deployment", of_lane(lane))
    deployment["spec"]["replicas"] = replicas
    server.put("deployments", deployment)
    server.put("scaledobjects", manifest("ScaledObject", of_lane(lane)))
