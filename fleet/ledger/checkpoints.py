"""SQLite's checkpoints beside the commits, instead of in one of them.

Every thousand pages the commit that fills the log copies it back into the database's file, and all
that wait for it wait for the disk as well: at 50 tasks a second one commit in forty took 5 ms more.
A thread with a connection of its own does that once a second now (`PASSIVE`: it holds up no
commit). Source: https://www.sqlite.org/wal.html, "Checkpointing".
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

_EVERY = 1.0
"""Seconds between two."""
_MOST = 8_000
"""Pages of the log, 32 MiB. Under steady load it is often written to as a checkpoint ends, and so
is not begun anew. The commit that finds it this long copies what is left."""
_ENDS_WITHIN = 5.0
"""Seconds for the thread to end."""


@contextlib.contextmanager
def checkpointed(engine: Engine, database: Path | None) -> Iterator[Callable[[], None]]:
    """Gives what is to be called after a commit. Other databases see to it by themselves.

    `engine`: whose connections, as far as they are opened within the block, leave the log alone.
    """
    if database is None:
        yield lambda: None
        return
    written, over = threading.Event(), threading.Event()
    event.listen(engine, "connect", _leave_the_log)
    thread = threading.Thread(target=_keep, args=(database, written, over), daemon=True)
    thread.start()
    try:
        yield written.set
    finally:
        over.set()
        thread.join(_ENDS_WITHIN)


def _leave_the_log(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute(f"PRAGMA wal_autocheckpoint = {_MOST}")


def _keep(database: Path, written: threading.Event, over: threading.Event) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        while not over.wait(_EVERY):
            if written.is_set():
                written.clear()
                # Locked, or a full disk: the next one, or a commit, copies what this one left.
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
