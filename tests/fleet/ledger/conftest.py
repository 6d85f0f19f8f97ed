"""A ledger in a file of its own, and a reader of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with await Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def reader(ledger: Ledger, url: str) -> Iterator[LedgerReader]:
    with LedgerReader(url) as opened:
        yield opened
