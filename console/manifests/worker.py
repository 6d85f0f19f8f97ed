"""The pod of a lane's worker, however it comes to run: in a Deployment, a ScaledJob, or alone."""

from console.manifests.names import Configuration, Manifest, labels
from console.manifests.pod import Part, of_the_pod, pod_template, spread
from contracts.lane import Lane
from contracts.scale import Shape
from fleet.cluster.names import of_lane

HEALTH, READY = "/run/fleet/health.json", "/run/fleet/ready.json"
_IDLE = 30
"""Seconds without a message after which a job's worker ends."""
_SPOT = "kubernetes.azure.com/scalesetpriority"
_PROBE = {"command": ["python", "-m", "workers.health", HEALTH]}
# By progress: the file says whether the lane receives what there is (workers.health).
PROBES = {
    "startupProbe": {
        "exec": _PROBE,
        "periodSeconds": 5,
        "failureThreshold": 24,
        "timeoutSeconds": 10,
    },
    "livenessProbe": {
        "exec": _PROBE,
        "periodSeconds": 30,
        "failureThreshold": 3,
        "timeoutSeconds": 10,
    },
    "readinessProbe": {
        "exec": {"command": ["test", "-s", READY]},
        "periodSeconds": 10,
        "timeoutSeconds": 5,
    },
}


def worker_pod(lane: Lane, configuration: Configuration, *, alone: bool = False) -> Manifest:
    """`alone`: for one task that asked for a pod of its own; which one is said in `args` when its
    Job is made.
    """
    scale = lane.scale
    as_job = alone or scale.shape is Shape.JOB
    # A disruption budget cannot guard a job's pods; this keeps node scale-down off them.
    kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"} if as_job else {}
    part = Part(
        name="worker",
        account=of_lane(lane.name),
        labels=labels("lane-alone" if alone else "lane", lane.name),
        command=worker_command(lane, until_idle=as_job and not alone),
        cpu=scale.cpu,
        memory=scale.memory,
        disk=scale.scratch,
        drain=scale.drain,
        probes=PROBES,
        environment=[
            of_the_pod("FLEET_POD", "metadata.name"),
            of_the_pod("FLEET_POD_NAMESPACE", "metadata.namespace"),
        ],
        sources=scale.sources,
        critical=scale.critical,
        annotations=kept,
    )
    template = pod_template(part, configuration)
    if as_job:
        # A new pod for each try: its events and logs stay apart.
        template["spec"]["restartPolicy"] = "Never"
    else:
        template["spec"]["topologySpreadConstraints"] = spread(part.labels)
    if scale.spot:
        template["spec"] |= _on_spot_nodes()
    return template


def worker_command(lane: Lane | None, *, until_idle: bool = False) -> list[str]:
    """Works on `lane`, or on every lane."""
    command = ["python", "-m", "workers", "--ready-file", READY, "--health-file", HEALTH]
    if lane is not None:
        command += ["--lanes", lane.name]
    return [*command, "--until-idle", str(_IDLE)] if until_idle else command


def _on_spot_nodes() -> Manifest:
    """Rather there; elsewhere where there are none."""
    wanted = {"matchExpressions": [{"key": _SPOT, "operator": "In", "values": ["spot"]}]}
    preferred = [{"weight": 100, "preference": wanted}]
    return {
        "tolerations": [
            {"key": _SPOT, "operator": "Equal", "value": "spot", "effect": "NoSchedule"}
        ],
        "affinity": {
            "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
        },
    }
