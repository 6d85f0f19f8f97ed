"""A real bus for each test: localbus on loopback, reached by the real SDK."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleet.artifacts.folder import FolderStore
from fleet.bus.bus import Bus, open_bus
from localbus.testing import RunningBus, running_bus


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBus]:
    with running_bus(tmp_path / "bus", queues=["lane-a", "lane-b"]) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "artifacts")


@pytest.fixture
async def bus(broker: RunningBus, store: FolderStore) -> AsyncIterator[Bus]:
    async with open_bus(broker.connection_string, store) as opened:
        yield opened
