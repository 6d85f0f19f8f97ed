"""A cluster: the real client, and a strict API server on the loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.cluster.cluster import Cluster, open_cluster
from tests.fleet.cluster.api_server import ApiServer, running_api_server


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with running_api_server() as running:
        yield running
        assert running.faults == [], "the client sent what no API server takes"


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    with open_cluster(kubeconfig=server.kubeconfig(tmp_path)) as opened:
        yield opened
