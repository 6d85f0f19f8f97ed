"""`fleet k8s`: the lanes on a cluster seen and steered, through the real client."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.conftest import Fleet
from tests.fleet.cluster.api_server import ApiServer, running_api_server
from tests.fleet.cluster.objects import a_pod, an_event, deployed


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        deployed(running, "mirror", 1)
        running.put("pods", a_pod("mirror", "a", restarts=2))
        running.put("events", an_event("Pod", "lane-mirror-a", "BackOff", "2026-11-25T10:00:00Z"))
        yield running
        assert running.faults == []


@pytest.fixture
def there(server: ApiServer, tmp_path: Path) -> list[str]:
    """Options that lead to the cluster."""
    return ["--kubeconfig", str(server.kubeconfig(tmp_path))]


def test_lanes_on_the_cluster_are_shown(fleet: Fleet, there: list[str]) -> None:
    """A line a lane; for one lane its pods and events; a lane that is not deployed says so."""
    every = fleet("k8s", "status", *there)
    one = fleet("k8s", "status", "mirror", *there)
    rows = [json.loads(line) for line in fleet("k8s", "status", "--json", *there).out.splitlines()]

    assert (every.code, one.code) == (0, 0)
    assert "not deployed" in every.out
    assert "lane-mirror-a" in one.out
    assert "BackOff it was" in one.out
    mirror = next(row for row in rows if row["lane"] == "mirror")
    assert (mirror["ready"], mirror["restarts"], mirror["pods"][0]["node"]) == (1, 2, "node-1")


def test_a_lane_is_paused_and_resumed(fleet: Fleet, there: list[str]) -> None:
    """And the table says by whom and why."""
    done = fleet("k8s", "pause", "mirror", "--reason", "source is down", *there)
    paused = fleet("k8s", "status", *there)
    resumed = fleet("k8s", "resume", "mirror", "--json", *there)

    assert (done.code, done.out) == (0, "mirror is paused: its messages wait\n")
    assert "source is down" in paused.out
    assert json.loads(resumed.out) == {"lane": "mirror", "paused": False}
    assert "source is down" not in fleet("k8s", "status", *there).out


def test_a_pod_is_drained_unless_its_budget_is_spent(
    fleet: Fleet, server: ApiServer, there: list[str]
) -> None:
    """A refusal is one line that says what to do, and an exit code."""
    server.budget_spent = True
    refused = fleet("k8s", "drain", "lane-mirror-a", *there)
    server.budget_spent = False
    done = fleet("k8s", "drain", "lane-mirror-a", *there)

    assert refused.code == 2
    assert "try again once another pod" in refused.err
    assert (done.code, done.out) == (0, "lane-mirror-a is draining\n")


def test_what_cannot_be_is_said(fleet: Fleet, there: list[str], server: ApiServer) -> None:
    """An unknown lane with the known ones; a cluster that does not answer, as unreachable."""
    unknown = fleet("k8s", "pause", "miror", *there)
    server.trouble("list", "deployments", 503, times=100)
    away = fleet("k8s", "status", *there)

    assert (unknown.code, "there are agent, compute" in unknown.err) == (2, True)
    assert away.code == 3
