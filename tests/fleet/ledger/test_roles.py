"""The second account, which only reads."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleet.ledger.database import open_engine
from fleet.ledger.ledger import Ledger
from fleet.ledger.reader import LedgerReader
from fleet.ledger.roles import RoleRefused, grant_reading
from tests.fleet.ledger.story import a_run
from tests.servers.postgresql import PostgreSQL


async def test_a_reading_account_reads_and_writes_nothing(postgresql: PostgreSQL) -> None:
    """It sees what is recorded, tables of later revisions too, and may change none of them."""
    url, theirs = postgresql.emptied(), postgresql.url(user="console-reader")
    postgresql.run('CREATE ROLE "console-reader" LOGIN')
    async with await Ledger.open(url) as ledger:
        accepted = await ledger.start_run(a_run())
        for _ in range(2):
            grant_reading(ledger.engine, "console-reader")
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE of_later (n INTEGER)")

        # As the console starts: where the tables are of this release, it only looks.
        await (await Ledger.open(theirs)).aclose()
        with LedgerReader(theirs) as reader:
            assert [row.run for row in reader.runs()] == [accepted.run]
        engine = open_engine(theirs)
        with engine.connect() as connection:
            connection.execute(text("SELECT n FROM of_later"))
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text("DELETE FROM event"))
        engine.dispose()


async def test_a_file_has_no_accounts(tmp_path: object) -> None:
    """Nothing is granted on SQLite, and it is said why."""
    async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        with pytest.raises(RoleRefused, match="file's rights"):
            grant_reading(ledger.engine, "reader")
