"""Replicas beside workers: on the Overview, in `fleet top` and `fleet lanes`, by a real client."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from console.web.cluster_view import cluster_view
from tests.console.conftest import PROJECT, Fleet, environment
from tests.console.ledgers import Home
from tests.console.web.conftest import a_web
from tests.console.web.test_runs import words
from tests.fleet.cluster.api_server import ApiServer, running_api_server
from tests.fleet.cluster.objects import a_pod, an_event, deployed


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        deployed(running, "mirror", 2)
        running.put("pods", a_pod("mirror", "a", restarts=4))
        waiting = {"name": "worker", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        waiting["state"] = {"waiting": {"reason": "ImagePullBackOff"}}
        stuck = a_pod("mirror", "b", phase="Pending", containerStatuses=[waiting])
        running.put("pods", stuck)
        event = an_event("Pod", "lane-mirror-b", "FailedScheduling", "2026-11-25T10:00:00Z")
        running.put("events", event)
        yield running
        assert running.faults == []


def test_replicas_stand_beside_workers_where_a_cluster_is_set(
    fleet: Fleet,
    home: Home,
    server: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ready ones of those wanted; of a lane that is not deployed nothing is claimed."""
    home.run(1)
    monkeypatch.setenv("FLEET_CLUSTER", "leaf-fleet")
    monkeypatch.setenv("FLEET_KUBECONFIG", str(server.kubeconfig(tmp_path)))

    lanes = [json.loads(line) for line in fleet("lanes", "--json").out.splitlines()]
    look = json.loads(fleet("top", "--once", "--json").out)
    drawn = fleet("top").out
    server.trouble("list", "deployments", 403, times=100)
    refused = fleet("lanes")

    for told in (lanes, look["lanes"]):
        found = {lane["lane"]: (lane["ready"], lane["replicas"]) for lane in told}
        assert found["mirror"] == (1, 2)
        assert found["compute"] == (None, None)
    assert "replicas" in drawn
    assert "1/2" in drawn
    assert refused.code == 0
    assert "no replicas: deployments" in refused.err


def test_the_overview_shows_replicas_and_does_not_wait_for_them(
    home: Home, server: ApiServer, tmp_path: Path
) -> None:
    """The page is there before the cluster has answered, and says so; pods, restarts and events are
    on the workers' page."""
    home.run(1)
    with ExitStack() as opened:
        web = a_web(home, opened)
        kubeconfig = server.kubeconfig(tmp_path)
        settings = web.site.settings.model_copy(
            update={"cluster": "leaf-fleet", "kubeconfig": kubeconfig}
        )
        view = cluster_view(settings, web.site.lanes, web.site.clock)
        without = words(web.somebody().get("/").text)
        web = replace(web, site=replace(web.site, cluster=view))

        first = words(web.somebody().get("/").text)
        view.refreshed()
        then = words(web.somebody().get("/").text)
        workers = words(web.somebody().get("/workers").text)
        server.put("pods", a_pod("mirror", "c"))
        counts = []
        for _ in range(2):  # an answer is kept for 5 seconds, and no longer
            home.pass_time(3)
            counts.append(view.refreshed().lanes["mirror"].ready)

    assert "Replicas" not in without
    assert "Workers Replicas" in first
    assert "1 of 2 4 restarts" in then
    assert "Pods of lane mirror do not run ImagePullBackOff" in then
    assert "lane-mirror-b Pending no" in workers
    assert "FailedScheduling" in workers
    assert "FailedScheduling it was" in workers
    assert counts == [1, 2]


def test_nothing_of_kubernetes_is_imported_where_no_cluster_is_set(home: Home) -> None:
    """It costs half a second and 60 MB."""
    home.run(1)
    program = (
        "import sys\nfrom console.cli import main\n"
        "try: main(['top', '--once'])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "print('kubernetes' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment(home.folder),
        cwd=PROJECT,
        check=True,
        timeout=110,
    )

    assert done.stdout.splitlines()[-1] == "False"
