"""Pausing, draining, a pod's own cost, a task's own job: on the cluster, each once."""

import pytest

from fleet.cluster.apart import job_name, start_apart
from fleet.cluster.cluster import Cluster, open_cluster
from fleet.cluster.errors import ClusterRefused, ClusterUnavailable, DrainRefused
from fleet.cluster.look import look
from fleet.cluster.own_pod import OwnPod
from fleet.cluster.steer import drain, pause, resume
from fleet.lanes import load_lanes
from tests.fleet.cluster.api_server import ApiServer, Asked
from tests.fleet.cluster.objects import a_pod, deployed, manifest
from tests.k8s.manifests import of_kind

_LANES = load_lanes()
_MIRROR, _AGENT = _LANES.named("mirror"), _LANES.named("agent")


def test_a_paused_lane_has_no_pods_until_it_is_resumed(server: ApiServer, cluster: Cluster) -> None:
    """By KEDA's own annotations, with who and why beside them; twice is harmless."""
    deployed(server, "mirror", 3)

    for _ in range(2):
        pause(cluster, _MIRROR, actor="ada@example.com", reason="source is down")
    notes = server.get("scaledobjects", "lane-mirror")["metadata"]["annotations"]
    (paused,) = look(cluster, ["mirror"])
    for _ in range(2):
        resume(cluster, _MIRROR)
    (resumed,) = look(cluster, ["mirror"])

    assert notes["autoscaling.keda.sh/paused-replicas"] == "0"
    assert "autoscaling.keda.sh/paused" not in notes
    told = (paused.paused, paused.paused_by, paused.paused_why)
    assert told == (True, "ada@example.com", "source is down")
    assert (resumed.paused, resumed.paused_by, resumed.paused_why) == (False, None, None)


def test_pods_may_stay_while_their_number_is_frozen(server: ApiServer, cluster: Cluster) -> None:
    """`keep`; and a lane of jobs knows no other pause: what runs, ends by itself."""
    deployed(server, "mirror", 3)
    server.put("scaledjobs", manifest("ScaledJob", "lane-agent"))

    pause(cluster, _MIRROR, actor="ada", reason="", keep=True)
    pause(cluster, _AGENT, actor="ada", reason="")

    for resource, name in (("scaledobjects", "lane-mirror"), ("scaledjobs", "lane-agent")):
        notes = server.get(resource, name)["metadata"]["annotations"]
        assert notes["autoscaling.keda.sh/paused"] == "true"
        assert "autoscaling.keda.sh/paused-replicas" not in notes


def test_a_conflict_and_a_busy_api_are_overcome(server: ApiServer, cluster: Cluster) -> None:
    """409: somebody else wrote at the same moment. 429: later, as it says."""
    deployed(server, "mirror", 1)
    server.trouble("patch", "scaledobjects", 429, times=2, retry_after=0)
    server.trouble("patch", "scaledobjects", 409, times=2)

    pause(cluster, _MIRROR, actor="ada", reason="")

    assert look(cluster, ["mirror"])[0].paused
    assert len([one for one in server.asked if one.verb == "patch"]) == 5


def test_a_lane_that_is_not_there_cannot_be_paused(server: ApiServer, cluster: Cluster) -> None:
    """With the names that were looked for."""
    with pytest.raises(ClusterRefused, match="no scaledobject lane-mirror in leaf-fleet"):
        pause(cluster, _MIRROR, actor="ada", reason="")


def test_a_drained_pod_is_evicted(server: ApiServer, cluster: Cluster) -> None:
    """By the API that honours budgets; not deleted."""
    server.put("pods", a_pod("mirror", "a"))

    drain(cluster, "lane-mirror-a")

    assert server.asked[-1] == Asked("create", "", "pods/eviction", "lane-mirror-a")
    assert look(cluster, ["mirror"])[0].pods[0].phase == "Terminating"


def test_a_spent_budget_keeps_the_pod(server: ApiServer, cluster: Cluster) -> None:
    """Asked once, told at once, with what to do; an unknown pod is another matter."""
    server.put("pods", a_pod("mirror", "a"))
    server.budget_spent = True

    with pytest.raises(DrainRefused, match=r"disruption budget.*try again"):
        drain(cluster, "lane-mirror-a")
    assert len(server.asked) == 1
    with pytest.raises(ClusterRefused, match="not found"):
        drain(cluster, "lane-mirror-z")


def test_a_busy_worker_says_so_on_its_pod(server: ApiServer, cluster: Cluster) -> None:
    """The lowest number is taken first; the console shows it."""
    server.put("pods", a_pod("mirror", "a"))
    own = OwnPod(cluster, "lane-mirror-a")

    own.dear(busy=True)
    busy = look(cluster, ["mirror"])[0].pods[0].busy
    own.dear(busy=False)

    assert busy is True
    notes = server.get("pods", "lane-mirror-a")["metadata"]["annotations"]
    assert notes["controller.kubernetes.io/pod-deletion-cost"] == "0"


def test_a_task_gets_one_job_of_its_own_however_often_it_is_asked_for(
    server: ApiServer, cluster: Cluster
) -> None:
    """From the lane's template, for one message; a second asking finds it there (409)."""
    server.put("podtemplates", manifest("PodTemplate", "lane-compute-alone"))
    ask = {"lane": "compute", "task": "5B1E0c4d-0000-8000-8000-000000000001", "number": 42}

    first = start_apart(cluster, **ask, limit=7200)  # type: ignore[arg-type]  # as written above
    second = start_apart(cluster, **ask, limit=7200)  # type: ignore[arg-type]

    assert (first, second) == (True, False)
    job = server.get("jobs", "lane-compute-5b1e0c4d-42")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--deferred", "42"]
    assert container["command"][-1] == "compute"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert job["spec"]["activeDeadlineSeconds"] == 7200


def test_a_job_name_fits_whatever_the_lane_is_called() -> None:
    """Pods carry it as a label: 63 characters."""
    long = job_name("a-very-long-name-of-a-lane-" + "x" * 22, "task", 9_223_372_036_854_775_807)

    assert len(long) <= 63


def test_a_cluster_that_does_not_answer_is_told_without_its_address(
    server: ApiServer, cluster: Cluster
) -> None:
    """And nothing is a traceback of the client's."""
    server.trouble("patch", "pods", 503, times=100)

    with pytest.raises(ClusterUnavailable, match="annotating x"):
        OwnPod(cluster, "x").dear(busy=True)


def test_nowhere_to_ask_is_said_with_what_to_do(tmp_path: object) -> None:
    """Outside of a cluster and without a kubeconfig."""
    from pathlib import Path

    with pytest.raises(ClusterRefused, match="--kubeconfig"):
        open_cluster(kubeconfig=Path(str(tmp_path)) / "absent")


def _granted(role: str) -> set[tuple[str, str, str]]:
    """Verb, group and resource of a committed Role."""
    ((_, found),) = [f for f in of_kind("Role") if f[1]["metadata"]["name"] == role]
    return {
        (verb, group, resource)
        for rule in found["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def _used(server: ApiServer) -> set[tuple[str, str, str]]:
    return {(one.verb, one.group, one.resource) for one in server.asked}


def test_the_consoles_rights_are_exactly_what_its_code_asks_for(
    server: ApiServer, cluster: Cluster
) -> None:
    """Nothing is refused that it needs, and nothing is granted that it does not use."""
    deployed(server, "mirror", 1)
    server.put("scaledjobs", manifest("ScaledJob", "lane-agent"))
    server.put("pods", a_pod("mirror", "a"))

    look(cluster, ["mirror", "agent"])
    for lane in (_MIRROR, _AGENT):
        pause(cluster, lane, actor="ada", reason="")
        resume(cluster, lane)
    drain(cluster, "lane-mirror-a")

    assert _used(server) == _granted("fleet-console")


def test_a_workers_rights_are_exactly_what_its_code_asks_for(
    server: ApiServer, cluster: Cluster
) -> None:
    """Its pod; and where tasks may have pods of their own, the template and the jobs."""
    server.put("pods", a_pod("compute", "a"))
    server.put("podtemplates", manifest("PodTemplate", "lane-compute-alone"))

    OwnPod(cluster, "lane-compute-a").dear(busy=True)
    start_apart(cluster, lane="compute", task="t", number=1, limit=60)

    assert _used(server) == _granted("fleet-worker") | _granted("lane-compute-alone")
