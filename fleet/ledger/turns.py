"""Turns of the processes that write one SQLite ledger."""

import contextlib
import fcntl
from collections.abc import Iterator

from fleet.ledger.database import sqlite_file


class _Turn:
    """One writing process at a time, the next one woken at once.

    SQLite itself lets a process that finds the file locked look again, after up to 0.1 s. Correct
    without: whoever writes otherwise waits in SQLite's way.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


@contextlib.contextmanager
def turns(url: str) -> Iterator[contextlib.AbstractContextManager[None]]:
    """The turns of a ledger; on a database that is no file everybody has theirs at once."""
    database = sqlite_file(url)
    if database is None:
        yield contextlib.nullcontext()
        return
    with database.with_name(f"{database.name}-turn").open("ab") as file:
        yield _Turn(file.fileno())
