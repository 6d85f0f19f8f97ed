"""A pod of the fleet, whichever part it is: nothing runs as root, the image's files are read-only,
secrets come as files, and the rules are mounted as a folder so that a change of them is seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from console.manifests.names import (
    ACCESS,
    IMAGE,
    LANES,
    METRICS_PORT,
    RULES,
    SETTINGS,
    SOURCES,
    Configuration,
    Manifest,
)

_AFTER_DRAIN = 45
"""Seconds from the end of the drain to the end of the process: handlers told to end take up to 6,
settling up to 20 (workers.runner, fleet.bus.receiver), closing the rest."""
_SCRAPED = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": "/metrics",
}
"""What Azure's managed Prometheus, and most others, find pods by."""
_USER = 10001
"""As in the Dockerfile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What differs between the pods of the fleet. Sizes are Kubernetes quantities."""

    name: str
    """Of its container."""
    account: str
    labels: dict[str, str]
    command: list[str]
    cpu: str
    memory: str
    disk: str
    drain: float
    """Seconds."""
    probes: Manifest
    port: int | None = None
    environment: Sequence[Manifest] = field(default_factory=list)
    sources: bool = False
    asks_cluster: bool = True
    """Whether it gets a token for the cluster's API. That of its identity in Azure is another."""
    measured: bool = True
    """Whether it serves metrics."""
    access: bool = False
    """Whether it is asked by people and programs, with tokens."""
    secrets: str | None = None
    """The Secret whose files are its secret settings."""
    critical: bool = False
    annotations: dict[str, str] = field(default_factory=dict)


def pod_template(part: Part, configuration: Configuration) -> Manifest:
    """The template of its pods."""
    spec: Manifest = {
        "serviceAccountName": part.account,
        "automountServiceAccountToken": part.asks_cluster,
        # Variables named FLEET_*_PORT for each Service would be refused as unknown settings.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": math.ceil(part.drain) + _AFTER_DRAIN,
        "priorityClassName": "fleet-critical" if part.critical else "fleet-standard",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(part)],
        "volumes": _volumes(part, configuration),
    }
    return {
        "metadata": {
            "labels": part.labels | {"azure.workload.identity/use": "true"},
            "annotations": {"fleet.leaf/lanes-digest": configuration.digest}
            | (_SCRAPED if part.measured else {})
            | part.annotations,
        },
        "spec": spec,
    }


def spread(labelled: dict[str, str]) -> list[Manifest]:
    """Pods with these labels over zones and nodes, as far as there is room."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": labelled},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def variable(name: str, value: str) -> Manifest:
    return {"name": name, "value": value}


def of_the_pod(name: str, path: str) -> Manifest:
    """A variable with something that the pod is told of itself."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _container(part: Part) -> Manifest:
    container: Manifest = {
        "name": part.name,
        "image": IMAGE,
        "command": part.command,
        "envFrom": [{"configMapRef": {"name": SETTINGS}}],
        "env": [variable("FLEET_GRACE", f"{part.drain:g}"), *part.environment],
        # Memory as requested: what is over-committed is killed. CPU up to twice: a pod may use
        # what its node has left.
        "resources": {
            "requests": _sizes(part) | {"cpu": part.cpu},
            "limits": _sizes(part) | {"cpu": _twice(part.cpu)},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **part.probes,
        "volumeMounts": _mounts(part),
    }
    ports = [("http", part.port), ("metrics", METRICS_PORT if part.measured else None)]
    if told := [{"name": name, "containerPort": port} for name, port in ports if port is not None]:
        container["ports"] = told
    if part.sources:
        container["env"].append(variable("FLEET_SOURCES", "/etc/fleet/sources/sources.toml"))
    if part.access:
        container["env"].append(variable("FLEET_ACCESS_FILE", "/etc/fleet/access/access.toml"))
    if part.secrets is not None:
        container["env"].append(variable("FLEET_SECRETS", "/etc/fleet/secrets"))
    return container


def _mounts(part: Part) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "home", "mountPath": "/var/lib/fleet"},
        {"name": "run", "mountPath": "/run/fleet"},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a volume of the pod's own
        # Whole folders: a file mounted by subPath never sees a change of its ConfigMap.
        {"name": "rules", "mountPath": "/etc/fleet/rules", "readOnly": True},
        {"name": "lanes", "mountPath": "/etc/fleet/lanes", "readOnly": True},
    ]
    mounts += [
        {"name": name, "mountPath": f"/etc/fleet/{name}", "readOnly": True}
        for name in _own_volumes(part)
    ]
    return mounts


def _volumes(part: Part, configuration: Configuration) -> list[Manifest]:
    items = [{"key": key, "path": place} for key, place in configuration.rules]
    volumes: list[Manifest] = [
        {"name": "home", "emptyDir": {"sizeLimit": part.disk}},
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "rules", "configMap": {"name": RULES, "items": items}},
        {"name": "lanes", "configMap": {"name": LANES}},
    ]
    volumes += [{"name": name} | kept for name, kept in _own_volumes(part).items()]
    return volumes


def _own_volumes(part: Part) -> dict[str, Manifest]:
    """What not every part has, by the name of the folder under /etc/fleet."""
    own: dict[str, Manifest] = {}
    if part.sources:
        own["sources"] = {"secret": {"secretName": SOURCES}}
    if part.access:
        own["access"] = {"configMap": {"name": ACCESS}}
    if part.secrets is not None:
        own["secrets"] = {"secret": {"secretName": part.secrets}}
    return own


def _sizes(part: Part) -> dict[str, str]:
    return {"memory": part.memory, "ephemeral-storage": part.disk}


def _twice(cpu: str) -> str:
    return f"{int(cpu[:-1]) * 2}m" if cpu.endswith("m") else str(int(cpu) * 2)
