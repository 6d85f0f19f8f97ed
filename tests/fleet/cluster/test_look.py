"""What the cluster says of lanes: replicas, pods, restarts, events; through a list gone stale."""

from datetime import UTC, datetime

import pytest

from contracts.scale import Shape
from fleet.cluster.cluster import Cluster
from fleet.cluster.errors import ClusterRefused, ClusterUnavailable
from fleet.cluster.look import look
from fleet.cluster.rows import PodRow
from tests.fleet.cluster.api_server import ApiServer
from tests.fleet.cluster.objects import a_pod, an_event, deployed, manifest


def test_a_lane_shows_its_pods_restarts_and_events(server: ApiServer, cluster: Cluster) -> None:
    """Each lane its own, the latest event first, and why a pod does not run."""
    deployed(server, "mirror", 2)
    deployed(server, "compute", 1)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    broken = a_pod("mirror", "b", restarts=4)
    broken["status"]["containerStatuses"][0] |= {"ready": False, "state": waiting}
    busy = a_pod("mirror", "a", restarts=1)
    busy["metadata"]["annotations"]["controller.kubernetes.io/pod-deletion-cost"] = "1"
    server.put("pods", busy, broken, a_pod("compute", "c"))
    server.put(
        "events",
        an_event("Pod", "lane-mirror-a", "Killing", "2026-11-25T10:00:00Z", warning=False),
        an_event("Pod", "lane-mirror-gone", "FailedScheduling", "2026-11-25T11:00:00Z"),
        an_event("HorizontalPodAutoscaler", "keda-hpa-lane-compute", "X", "2026-11-25T09:00:00Z"),
        an_event("Pod", "somebody-else", "Y", "2026-11-25T09:00:00Z"),
    )

    mirror, compute = look(cluster, ["mirror", "compute"])

    assert (mirror.shape, mirror.replicas, mirror.ready) == (Shape.DEPLOYMENT, 2, 1)
    assert (mirror.least, mirror.most, mirror.restarts) == (0, 20, 5)
    started = datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert mirror.pods == (
        PodRow(
            name="lane-mirror-a",
            phase="Running",
            ready=True,
            restarts=1,
            busy=True,
            node="node-1",
            started=started,
        ),
        PodRow(
            name="lane-mirror-b",
            phase="Running",
            restarts=4,
            node="node-1",
            started=started,
            why="CrashLoopBackOff",
        ),
    )
    assert [event.reason for event in mirror.events] == ["FailedScheduling", "Killing"]
    assert (mirror.events[0].warning, mirror.events[0].count) == (True, 3)
    assert [event.about for event in compute.events] == [
        "HorizontalPodAutoscaler keda-hpa-lane-compute"
    ]


def test_a_lane_of_jobs_and_one_that_is_not_there(server: ApiServer, cluster: Cluster) -> None:
    """The first has as many replicas as pods; the second is told as absent, not left out."""
    server.put("scaledjobs", manifest("ScaledJob", "lane-agent"))
    pod = a_pod("mirror", "1")
    pod["metadata"] |= {"name": "lane-agent-1"}
    pod["metadata"]["labels"] = manifest("ScaledJob", "lane-agent")["metadata"]["labels"]
    server.put("pods", pod)

    agent, absent = look(cluster, ["agent", "absent"])

    assert (agent.shape, agent.replicas, agent.ready, agent.most) == (Shape.JOB, 1, 1, 20)
    assert (absent.shape, absent.replicas, absent.pods) == (None, 0, ())


def test_what_keeps_keda_from_scaling_is_told(server: ApiServer, cluster: Cluster) -> None:
    """In KEDA's own words."""
    deployed(server, "mirror", 0)
    conditions = [
        {"type": "Ready", "status": "False", "reason": "ScalerFailed", "message": "401 of the bus"},
        {"type": "Active", "status": "False"},
    ]
    server.get("scaledobjects", "lane-mirror")["status"] = {"conditions": conditions}

    (mirror,) = look(cluster, ["mirror"])

    assert mirror.scaler_fault == "401 of the bus"


def test_a_list_that_goes_stale_between_pages_is_read_again(
    server: ApiServer, cluster: Cluster
) -> None:
    """410 on a later page: the whole is told once, nothing twice."""
    server.page = 2
    server.put("pods", *(a_pod("mirror", str(number)) for number in range(5)))
    server.expire = 1

    (mirror,) = look(cluster, ["mirror"])

    assert [pod.name for pod in mirror.pods] == [f"lane-mirror-{number}" for number in range(5)]
    assert server.expire == 0


def test_a_list_that_is_always_stale_is_given_up(server: ApiServer, cluster: Cluster) -> None:
    """With a word that says so, and not forever."""
    server.trouble("list", "pods", 410, times=100)

    with pytest.raises(ClusterUnavailable, match="pods"):
        look(cluster, ["mirror"])


def test_an_api_that_is_busy_is_asked_again_when_it_says(
    server: ApiServer, cluster: Cluster
) -> None:
    """429 with Retry-After, a few times; then it is told."""
    deployed(server, "mirror", 1)
    server.trouble("list", "deployments", 429, times=2, retry_after=0)

    (mirror,) = look(cluster, ["mirror"])

    assert mirror.replicas == 1
    server.trouble("list", "pods", 429, times=100, retry_after=0)
    with pytest.raises(ClusterUnavailable, match="pods: Too Many Requests"):
        look(cluster, ["mirror"])


def test_a_refusal_is_told_in_the_servers_words(server: ApiServer, cluster: Cluster) -> None:
    """403 is for whoever gives rights; asking again helps nobody."""
    server.trouble("list", "events", 403)

    with pytest.raises(ClusterRefused, match=r"events: as the test wants it \(403\)"):
        look(cluster, ["mirror"])
