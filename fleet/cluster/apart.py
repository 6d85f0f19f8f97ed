"""A Job for one task that asked for a pod of its own, made from the lane's template."""

import re

from fleet.cluster.cluster import Cluster
from fleet.cluster.errors import ClusterRefused
from fleet.cluster.names import COMPONENT, LANE_LABEL, NAME, PART, alone, of_lane

_AGAIN = 2
"""Pods after the first, should one fail: attempts are the ledger's to count, not these."""
_KEPT = 3600
"""Seconds that an ended job stays to be looked at."""
_EXISTS = 409


def start_apart(cluster: Cluster, *, lane: str, task: str, number: int, limit: float) -> bool:
    """Have a pod of its own take the deferred message `number` of the lane's queue; whether it was
    this call that made the job. The job is named for the message, so that asking twice makes one.

    `limit`: seconds that the pod may live. Raises ClusterUnavailable or ClusterRefused.
    """
    from kubernetes import client

    name = job_name(lane, task, number)
    what = f"starting {name}"
    kept = cluster.ask(
        what, cluster.core.read_namespaced_pod_template, alone(lane), cluster.namespace
    )
    template = kept.template
    if template is None or template.spec is None:
        raise ClusterRefused(f"{what}: the template {alone(lane)} is empty")
    template.spec.containers[0].args = ["--deferred", str(number)]
    labels = {PART: NAME, COMPONENT: "lane-alone", LANE_LABEL: lane}
    job = client.V1Job(
        api_version="batch/v1",
        kind="Job",
        metadata=client.V1ObjectMeta(
            name=name,
            namespace=cluster.namespace,
            labels=labels,
            annotations={"fleet.leaf/task": task},
        ),
        spec=client.V1JobSpec(
            template=client.V1PodTemplateSpec(metadata=template.metadata, spec=template.spec),
            backoff_limit=_AGAIN,
            active_deadline_seconds=int(limit),
            ttl_seconds_after_finished=_KEPT,
        ),
    )
    try:
        cluster.ask(what, cluster.batch.create_namespaced_job, cluster.namespace, job)
    except ClusterRefused as refused:
        if refused.status != _EXISTS:
            raise
        return False
    return True


def job_name(lane: str, task: str, number: int) -> str:
    """At most 63 characters, which is what a pod's labels can hold of it."""
    short = re.sub(r"[^a-z0-9]", "", task.lower())[:8]
    return f"{of_lane(lane)[:36]}-{short}-{number}"[:63].rstrip("-")
