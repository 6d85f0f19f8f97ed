"""A worker's pod says while it is busy, so that a scale-down takes idle ones."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cluster.cluster import open_cluster
from fleet.cluster.own_pod import OwnPod
from tests.fleet.cluster.api_server import ApiServer, running_api_server
from tests.fleet.cluster.objects import a_pod
from tests.workers.conftest import PATIENCE
from workers.deletion_cost import keep_told


class Work:
    """What is in hand, by turns: `told` is set at each look."""

    def __init__(self, turns: list[int], done: asyncio.Event) -> None:
        self._turns, self._done = turns, done

    def running(self) -> int:
        now = self._turns.pop(0)
        if not self._turns:
            self._done.set()
        return now


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        running.put("pods", a_pod("mirror", "a"))
        yield running
        assert running.faults == []


async def _told(server: ApiServer, folder: Path, turns: list[int]) -> None:
    done = asyncio.Event()
    with open_cluster(kubeconfig=server.kubeconfig(folder)) as cluster:
        own = OwnPod(cluster, "lane-mirror-a")
        work = Work(turns, done)
        await asyncio.wait_for(keep_told(own, work.running, done, every=0.001), PATIENCE)


def _cost(server: ApiServer) -> str | None:
    notes = server.get("pods", "lane-mirror-a")["metadata"]["annotations"]
    found: str | None = notes.get("controller.kubernetes.io/pod-deletion-cost")
    return found


async def test_only_what_changes_is_said(server: ApiServer, tmp_path: Path) -> None:
    """Idle, then busy with one, two, three, then idle: three words, not five."""
    await _told(server, tmp_path, [0, 1, 2, 3, 0])

    assert [one.verb for one in server.asked] == ["patch"] * 3
    assert _cost(server) == "0"


async def test_what_could_not_be_said_is_said_later(server: ApiServer, tmp_path: Path) -> None:
    """An API that is away costs no work, and the word is not forgotten."""
    server.trouble("patch", "pods", 503, times=1)

    await _told(server, tmp_path, [1, 1, 1])

    assert _cost(server) == "1"


async def test_a_worker_without_the_right_works_on(server: ApiServer, tmp_path: Path) -> None:
    """It asks once, and lets it be."""
    server.trouble("patch", "pods", 403, times=100)

    await _told(server, tmp_path, [1, 0, 1])

    assert len(server.asked) == 1
