"""The parts of which there are a few: the dispatcher, and the console in a browser."""

from console.manifests.names import CONSOLE_SECRETS, Configuration, Manifest, labels, metadata
from console.manifests.pod import Part, pod_template, spread, variable
from fleet.cluster.names import NAMESPACE

DISPATCHER_PORT, CONSOLE_PORT = 8780, 8790
_EVERYWHERE = "0.0.0.0"  # noqa: S104  # the pod's own address, which network policies guard

_OF_THE_CONSOLE = [
    variable("FLEET_CONSOLE_HOST", _EVERYWHERE),
    # Replicas of each lane on the Overview; its role lets it list them.
    variable("FLEET_CLUSTER", NAMESPACE),
]


def dispatcher_documents(configuration: Configuration) -> list[Manifest]:
    """Two, so that a node may go while requests come; they share the outbox and the sweep."""
    command = ["python", "-m", "dispatcher", "--host", _EVERYWHERE, "--port", str(DISPATCHER_PORT)]
    return _documents("dispatcher", command, DISPATCHER_PORT, 2, configuration)


def console_documents(configuration: Configuration) -> list[Manifest]:
    """The pages of the console. Two, with one session key: a page that one of them gave is good
    at the other."""
    return _documents("console", ["python", "-m", "console"], CONSOLE_PORT, 2, configuration)


def _documents(
    name: str, command: list[str], port: int, replicas: int, configuration: Configuration
) -> list[Manifest]:
    labelled, full = labels(name), f"fleet-{name}"
    is_console = port == CONSOLE_PORT
    part = Part(
        name=name,
        account=full,
        labels=labelled,
        command=command,
        cpu="250m",
        memory="1Gi",
        disk="2Gi",
        drain=25,
        probes={
            "startupProbe": _asked("/healthz") | {"periodSeconds": 2, "failureThreshold": 60},
            "livenessProbe": _asked("/healthz") | {"periodSeconds": 10, "failureThreshold": 6},
            "readinessProbe": _asked("/readyz") | {"periodSeconds": 5},
        },
        port=port,
        environment=_OF_THE_CONSOLE if is_console else [],
        asks_cluster=is_console,
        measured=not is_console,
        access=True,
        secrets=CONSOLE_SECRETS if is_console else None,
        critical=True,
    )
    template = pod_template(part, configuration)
    template["spec"]["topologySpreadConstraints"] = spread(labelled)
    deployment = {
        "replicas": replicas,
        "revisionHistoryLimit": 5,
        "minReadySeconds": 10,
        "selector": {"matchLabels": labelled},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": template,
    }
    budget = {
        "maxUnavailable": 1,
        # As for lanes: one that never became ready must not block a node's drain.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": labelled},
    }
    service = {
        "selector": labelled,
        "ports": [{"name": "http", "port": port, "targetPort": "http"}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(full, labelled)},
        _one("apps/v1", "Deployment", full, labelled, deployment),
        _one("policy/v1", "PodDisruptionBudget", full, labelled, budget),
        _one("v1", "Service", full, labelled, service),
    ]


def _one(version: str, kind: str, name: str, labelled: dict[str, str], spec: Manifest) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": metadata(name, labelled), "spec": spec}


def _asked(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 5}
