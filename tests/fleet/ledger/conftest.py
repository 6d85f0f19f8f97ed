"""An empty ledger on each database there is, and a reader of it.

LEDGER_CONFORMANCE_URL names another database to run on instead; it must be empty, and is again
afterwards (`make ledger-conformance URL=...`).
"""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from tests.fleet.ledger.given import emptied
from tests.fleet.ledger.tsql import see, unknown
from tests.servers.postgresql import PostgreSQL, running_postgresql

GIVEN = os.environ.get("LEDGER_CONFORMANCE_URL")


@pytest.fixture(autouse=True)
def _nothing_unseen() -> Iterator[None]:
    """Only while a test of the ledger runs: others in this process may tell databases more."""
    event.listen(Engine, "before_cursor_execute", see)
    yield
    event.remove(Engine, "before_cursor_execute", see)
    if new := unknown():
        pytest.fail("SQL Server would be told something new; run `make ledger-golden`:\n" + new[0])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["given"] if GIVEN else ["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    match request.param:
        case "sqlite":
            yield f"sqlite:///{tmp_path / 'ledger.db'}"
        case "postgresql":
            server: PostgreSQL = request.getfixturevalue("postgresql")
            yield server.emptied()
        case _:
            assert GIVEN is not None
            with emptied(GIVEN):
                yield GIVEN


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    async with await Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def reader(ledger: Ledger, url: str) -> Iterator[LedgerReader]:
    with LedgerReader(url) as opened:
        yield opened
