"""Steering lanes on the cluster from the workers' page, by a real client."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from console.web.cluster_view import cluster_view
from contracts.access import Role
from tests.console.ledgers import Home
from tests.console.web.conftest import Web, a_web
from tests.console.web.test_access import csrf_in
from tests.console.web.test_runs import words
from tests.fleet.cluster.api_server import ApiServer, Asked, running_api_server
from tests.fleet.cluster.objects import a_pod, deployed


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        deployed(running, "mirror", 1)
        running.put("pods", a_pod("mirror", "a"))
        yield running
        assert running.faults == []


@pytest.fixture
def web(home: Home, server: ApiServer, tmp_path: Path) -> Iterator[Web]:
    """The pages where a cluster is set and has answered once."""
    home.run(1)
    with ExitStack() as opened:
        found = a_web(home, opened)
        told = {"cluster": "leaf-fleet", "kubeconfig": server.kubeconfig(tmp_path)}
        settings = found.site.settings.model_copy(update=told)
        view = cluster_view(settings, found.site.lanes, found.site.clock)
        view.refreshed()
        yield replace(found, site=replace(found.site, settings=settings, cluster=view))


def _notes(server: ApiServer) -> dict[str, str]:
    found: dict[str, str] = server.get("scaledobjects", "lane-mirror")["metadata"].get(
        "annotations", {}
    )
    return found


def test_a_lane_is_paused_and_resumed_on_the_cluster(web: Web, server: ApiServer) -> None:
    """By KEDA's annotation, with the person's name and reason beside it."""
    operator = web.somebody(Role.OPERATOR, name="olga")
    form = {"csrf": csrf_in(operator.get("/workers").text), "lane": "mirror", "reason": "patching"}

    paused = operator.post("/cluster/lane", form | {"way": "pause"})
    notes = dict(_notes(server))
    said = words(operator.get("/workers").text)
    operator.post("/cluster/lane", form | {"way": "resume"})

    assert paused.status_code == 303
    assert notes["autoscaling.keda.sh/paused-replicas"] == "0"
    assert (notes["fleet.leaf/paused-by"], notes["fleet.leaf/paused-why"]) == ("olga", "patching")
    assert "Lane mirror does not scale until it is resumed." in said
    assert "autoscaling.keda.sh/paused-replicas" not in _notes(server)
    assert operator.post("/cluster/lane", form | {"way": "else"}).status_code == 400
    assert operator.post("/cluster/lane", form | {"lane": "none"}).status_code == 404


def test_a_pod_of_a_lane_is_drained_and_no_other(web: Web, server: ApiServer) -> None:
    """By eviction; a spent budget is told in words, and nothing was done."""
    operator = web.somebody(Role.OPERATOR)
    form = {"csrf": csrf_in(operator.get("/workers").text), "pod": "lane-mirror-a", "reason": "r"}

    server.budget_spent = True
    spent = operator.post("/cluster/drain", form)
    server.budget_spent = False
    drained = operator.post("/cluster/drain", form)
    server.put("pods", a_pod("mirror", "x") | {"metadata": {"name": "fleet-dispatcher-1"}})
    other = operator.post("/cluster/drain", form | {"pod": "fleet-dispatcher-1"})

    assert spent.status_code == 400
    assert "disruption budget" in words(spent.text)
    assert (drained.status_code, other.status_code) == (303, 404)
    evictions = [one for one in server.asked if one.resource == "pods/eviction"]
    assert set(evictions) == {Asked("create", "", "pods/eviction", "lane-mirror-a")}


def test_who_may_only_look_is_told_why_and_changes_nothing(web: Web, server: ApiServer) -> None:
    """Disabled with the reason; a form that is sent anyway is refused."""
    viewer = web.somebody(Role.VIEWER)
    page = viewer.get("/workers").text
    form = {"csrf": csrf_in(page), "lane": "mirror", "pod": "lane-mirror-a", "reason": "r"}
    before = list(server.asked)

    assert "Scaling: This needs the role operator or admin" in words(page)
    assert viewer.post("/cluster/lane", form | {"way": "pause"}).status_code == 403
    assert viewer.post("/cluster/drain", form).status_code == 403
    assert server.asked == before


def test_a_cluster_that_refuses_is_told_without_local_paths(
    web: Web, server: ApiServer, tmp_path: Path
) -> None:
    """The API server's words are passed on; a kubeconfig's are not."""
    operator = web.somebody(Role.OPERATOR)
    form = {"csrf": csrf_in(operator.get("/workers").text), "lane": "mirror", "reason": "r"}
    server.trouble("patch", "scaledobjects", 403)

    refused = operator.post("/cluster/lane", form | {"way": "keep"})
    gone = web.site.settings.model_copy(update={"kubeconfig": tmp_path / "absent"})
    nowhere = replace(web, site=replace(web.site, settings=gone)).somebody(Role.OPERATOR)
    form["csrf"] = csrf_in(nowhere.get("/workers").text)
    lost = nowhere.post("/cluster/lane", form | {"way": "keep"})

    assert (refused.status_code, lost.status_code) == (400, 400)
    assert "as the test wants it (403)" in words(refused.text)
    assert "no way to the cluster" in words(lost.text)
    assert str(tmp_path) not in lost.text
