"""Everything that belongs to one lane, in the order in which kubectl should see it."""

import math

from console.manifests.names import Configuration, Manifest, labels
from console.manifests.names import metadata as named
from console.manifests.network import lane_network
from console.manifests.worker import worker_pod
from contracts.lane import Lane
from contracts.scale import Shape
from fleet.cluster.names import NAMESPACE, alone, of_lane

TRIGGER_AUTHENTICATION = "fleet-keda"
BUS_NAMESPACE = "set-by-the-overlay"
"""Where the overlay writes the Service Bus namespace's short name."""
_POLL = 10
"""Seconds between two looks at the queue: governs only the way from no pod to the first."""
_COOLDOWN = 300
"""Seconds without a message after which the last pod goes."""
_SPREAD_OUT = 300
"""Seconds of a lower need before pods are taken away: the drain of a busy queue is not a wave."""
_LONGEST_JOB_SPARE = 600
"""Seconds beyond a task's own limit that a job's pod may live: start, retries in place, drain."""


def lane_documents(lane: Lane, configuration: Configuration) -> list[Manifest]:
    """The manifests of `lane`."""
    documents = [_service_account(lane), _role_binding(lane), lane_network(lane)]
    if lane.scale.shape is Shape.DEPLOYMENT:
        documents += [
            _deployment(lane, configuration),
            _disruption_budget(lane),
            _scaled_object(lane),
        ]
    else:
        documents.append(_scaled_job(lane, configuration))
    if lane.scale.isolation:
        documents += [_template_alone(lane, configuration), *_may_start_jobs(lane)]
    return documents


def metadata(lane: Lane, name: str) -> Manifest:
    return named(name, labels("lane", lane.name))


def _service_account(lane: Lane) -> Manifest:
    # The overlay adds the client id of the identity that the account stands for.
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(lane, of_lane(lane.name)),
    }


def _role_binding(lane: Lane) -> Manifest:
    return _binding(lane, of_lane(lane.name), "fleet-worker")


def _binding(lane: Lane, name: str, role: str) -> Manifest:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata(lane, name),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [
            {"kind": "ServiceAccount", "name": of_lane(lane.name), "namespace": NAMESPACE}
        ],
    }


def _deployment(lane: Lane, configuration: Configuration) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(lane, of_lane(lane.name)),
        # No `replicas`: they are KEDA's to say, and applying this again must not reset them.
        "spec": {
            "revisionHistoryLimit": 5,
            "minReadySeconds": 10,
            "progressDeadlineSeconds": 600 + math.ceil(lane.scale.drain),
            "selector": {"matchLabels": labels("lane", lane.name)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0},
            },
            "template": worker_pod(lane, configuration),
        },
    }


def _disruption_budget(lane: Lane) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(lane, of_lane(lane.name)),
        "spec": {
            "maxUnavailable": 1,
            # A pod that never became ready does no work: it must not block a node's drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels("lane", lane.name)},
        },
    }


def _trigger(lane: Lane) -> Manifest:
    return {
        "type": "azure-servicebus",
        "metadata": {
            "queueName": lane.queue,
            "namespace": BUS_NAMESPACE,
            "messageCount": str(lane.message_count),
            "activationMessageCount": "0",
        },
        "authenticationRef": {"name": TRIGGER_AUTHENTICATION},
    }


def _scaled_object(lane: Lane) -> Manifest:
    scale = lane.scale
    # The autoscaler asks every 15 s for each lane; the answer of KEDA's own look is good enough.
    trigger = _trigger(lane) | {"useCachedMetrics": True}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(lane, of_lane(lane.name)),
        "spec": {
            "scaleTargetRef": {"name": of_lane(lane.name)},
            "pollingInterval": _POLL,
            "cooldownPeriod": _COOLDOWN,
            "minReplicaCount": scale.min_replicas,
            "maxReplicaCount": scale.max_replicas,
            # When the queue's depth cannot be read: what is there stays. (At 0 KEDA cannot help;
            # critical lanes have a minimum for that.)
            "fallback": {
                "failureThreshold": 3,
                "replicas": max(scale.min_replicas, 1),
                "behavior": "currentReplicasIfHigher",
            },
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {
                        "scaleUp": {
                            "stabilizationWindowSeconds": 0,
                            "selectPolicy": "Max",
                            "policies": [
                                {"type": "Percent", "value": 100, "periodSeconds": 15},
                                {"type": "Pods", "value": 4, "periodSeconds": 15},
                            ],
                        },
                        "scaleDown": {
                            "stabilizationWindowSeconds": _SPREAD_OUT,
                            "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
                        },
                    }
                }
            },
            "triggers": [trigger],
        },
    }


def _scaled_job(lane: Lane, configuration: Configuration) -> Manifest:
    scale = lane.scale
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledJob",
        "metadata": metadata(lane, of_lane(lane.name)),
        "spec": {
            "pollingInterval": _POLL,
            "maxReplicaCount": scale.max_replicas,
            "successfulJobsHistoryLimit": 5,
            "failedJobsHistoryLimit": 10,
            # A new template is for new jobs: what runs, ends by itself.
            "rollout": {"strategy": "gradual"},
            # Locked messages count as waiting, and `default` is the one that subtracts the
            # jobs which hold them; `accurate` and `eager` would start too many.
            "scalingStrategy": {"strategy": "default"},
            "jobTargetRef": {
                "parallelism": 1,
                "completions": 1,
                # Attempts are the ledger's to count; a pod that fails has lost no task.
                "backoffLimit": 0,
                "activeDeadlineSeconds": math.ceil(lane.timeout * 4) + _LONGEST_JOB_SPARE,
                "template": worker_pod(lane, configuration),
            },
            "triggers": [_trigger(lane)],
        },
    }


def _template_alone(lane: Lane, configuration: Configuration) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": metadata(lane, alone(lane.name)),
        "template": worker_pod(lane, configuration, alone=True),
    }


def _may_start_jobs(lane: Lane) -> list[Manifest]:
    """Read its own template, and make Jobs; which Jobs, the admission policy says (base)."""
    name = alone(lane.name)
    rules = [
        {
            "apiGroups": [""],
            "resources": ["podtemplates"],
            "resourceNames": [name],
            "verbs": ["get"],
        },
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata(lane, name),
        "rules": rules,
    }
    return [role, _binding(lane, name, name)]
