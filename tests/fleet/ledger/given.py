"""A database that somebody gave the ledger's tests to run on."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import MetaData, inspect

from fleet.ledger.database import open_engine


class NotEmpty(Exception):
    """The database holds tables. Nothing was done: the tests would have removed them."""


@contextlib.contextmanager
def emptied(url: str) -> Iterator[None]:
    """The database without tables, before and after. Raises NotEmpty rather than remove any that
    were there before."""
    engine = open_engine(url)
    try:
        if found := inspect(engine).get_table_names():
            raise NotEmpty(f"give an empty database: this one holds {', '.join(sorted(found))}")
        try:
            yield
        finally:
            left = MetaData()
            left.reflect(engine)
            left.drop_all(engine)
    finally:
        engine.dispose()
