"""The admission policies, their expressions evaluated as the API server would."""

from copy import deepcopy
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel

from tests.k8s.manifests import of_kind, template

_WORKER = "system:serviceaccount:leaf-fleet:lane-compute"
_POD: dict[str, Any] = {
    "metadata": {"name": "lane-compute-1", "labels": {"fleet.leaf/lane": "compute"}},
    "spec": {"containers": [{"name": "worker", "image": "leaf-fleet"}]},
}


def _user(name: str = _WORKER, pod: str | None = "lane-compute-1") -> dict[str, Any]:
    return {
        "username": name,
        "extra": {} if pod is None else {"authentication.kubernetes.io/pod-name": [pod]},
    }


def _verdict(policy: str, **facts: Any) -> bool | None:
    """Whether the request is let through; None where the policy is not about it."""
    ((_, found),) = [
        f for f in of_kind("ValidatingAdmissionPolicy") if f[1]["metadata"]["name"] == policy
    ]
    spec = found["spec"]
    if not all(_holds(one["expression"], facts) for one in spec["matchConditions"]):
        return None
    return all(_holds(one["expression"], facts) for one in spec["validations"])


def _holds(expression: str, facts: dict[str, Any]) -> bool:
    environment = celpy.Environment()
    program = environment.program(environment.compile(expression))
    return bool(program.evaluate({name: json_to_cel(value) for name, value in facts.items()}))


def _changed(**metadata: Any) -> dict[str, Any]:
    pod = deepcopy(_POD)
    pod["metadata"] = {**_POD["metadata"], **metadata}
    return pod


def test_a_worker_may_annotate_its_own_pod() -> None:
    """That is all that it has the right to patch for."""
    annotated = _changed(annotations={"controller.kubernetes.io/pod-deletion-cost": "1"})

    assert _verdict(
        "fleet-worker-pods", object=annotated, oldObject=_POD, request={"userInfo": _user()}
    )


@pytest.mark.parametrize(
    ("after", "user"),
    [
        (_POD, _user(pod="lane-compute-2")),
        (_POD, _user(pod=None)),
        (_changed(labels={"fleet.leaf/lane": "mirror"}), _user()),
        (_POD | {"spec": {"containers": [{"name": "worker", "image": "other"}]}}, _user()),
    ],
    ids=["another pod", "a token of no pod", "labels", "image"],
)
def test_a_worker_may_change_nothing_else(after: dict[str, Any], user: dict[str, Any]) -> None:
    """Not another's pod, not its labels, not what it runs."""
    assert (
        _verdict("fleet-worker-pods", object=after, oldObject=_POD, request={"userInfo": user})
        is False
    )


def test_others_are_not_held_to_the_workers_rules() -> None:
    """The controllers of the cluster go on as before."""
    user = _user("system:serviceaccount:kube-system:replicaset-controller", None)

    assert (
        _verdict("fleet-worker-pods", object=_POD, oldObject=_POD, request={"userInfo": user})
        is None
    )


def _job() -> dict[str, Any]:
    ((_, found),) = of_kind("PodTemplate")
    return {"spec": {"template": deepcopy(template(found))}}


def test_a_worker_may_start_the_job_that_its_template_makes() -> None:
    """As the committed template is."""
    assert _verdict("fleet-worker-jobs", object=_job(), request={"userInfo": _user()})


@pytest.mark.parametrize("what", ["account", "no account", "secret", "projected", "variable"])
def test_a_worker_may_start_no_job_that_can_do_more(what: str) -> None:
    """Not as another account, and with no secret but the sources."""
    job = _job()
    spec = job["spec"]["template"]["spec"]
    match what:
        case "account":
            spec["serviceAccountName"] = "fleet-console"
        case "no account":
            del spec["serviceAccountName"]
        case "secret":
            spec["volumes"].append({"name": "x", "secret": {"secretName": "fleet-secrets"}})
        case "projected":
            spec["volumes"].append({"name": "x", "projected": {"sources": []}})
        case "variable":
            reference = {"secretKeyRef": {"name": "fleet-secrets", "key": "x"}}
            spec["containers"][0]["env"].append({"name": "X", "valueFrom": reference})

    assert _verdict("fleet-worker-jobs", object=job, request={"userInfo": _user()}) is False


def test_the_console_may_pause_and_not_rescale() -> None:
    """An annotation passes; another maximum does not."""
    user = {"username": "system:serviceaccount:leaf-fleet:fleet-console", "extra": {}}
    old = {"metadata": {"name": "lane-mirror"}, "spec": {"maxReplicaCount": 20}}
    paused = {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}} | {
        "spec": old["spec"]
    }
    wider = old | {"spec": {"maxReplicaCount": 1000}}

    ask = {"oldObject": old, "request": {"userInfo": user}}
    assert _verdict("fleet-console-scalers", object=paused, **ask)
    assert _verdict("fleet-console-scalers", object=wider, **ask) is False
