"""What the dev overlay has in place of the lanes on AKS: one worker for all, and the queues."""

import json

from console.manifests.names import Configuration, Manifest, labels, metadata
from console.manifests.pod import Part, pod_template
from console.manifests.worker import PROBES, worker_command
from contracts.lane import LaneTable
from fleet.bus.bus import INTAKE_QUEUE

_DELIVERIES = 20
"""As fleet.bus.admin makes queues."""
_DUPLICATES = 600_000
"""Milliseconds; as there."""


def one_worker(configuration: Configuration) -> list[Manifest]:
    """A Deployment that works on every lane."""
    labelled = labels("lane", "all")
    part = Part(
        name="worker",
        account="fleet-worker",
        labels=labelled,
        command=worker_command(None),
        cpu="1",
        memory="2Gi",
        disk="4Gi",
        drain=25,
        probes=PROBES,
        asks_cluster=False,
    )
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata("fleet-worker", labelled),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labelled},
            "template": pod_template(part, configuration),
        },
    }
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata("fleet-worker", labelled),
    }
    return [account, deployment]


def bus_topology(lanes: LaneTable) -> str:
    """The queues of the embedded bus: docs/reference/localbus.md."""
    queue = {
        "max_delivery_count": _DELIVERIES,
        "detect_duplicates": True,
        "duplicate_window_ms": _DUPLICATES,
    }
    locks = {INTAKE_QUEUE: 30.0} | {lane.queue: lane.lease for lane in lanes}
    queues = {
        name: {"lock_duration_ms": round(lock * 1000)} | queue for name, lock in locks.items()
    }
    return json.dumps({"queues": queues}, indent=2) + "\n"
